import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from '@jest/globals'
import { exists } from '../../src/runtime/exists.js'
import { FileError } from '../../src/runtime/file-error.js'
import { temporaryFolder } from '../servers/process.js'

const folder = temporaryFolder('exists')
afterAll(() => {
  folder.remove()
})
const path = (...parts: string[]): string => join(folder.path, ...parts)

test('a file and a directory exist, a missing path and one below a file do not', () => {
  writeFileSync(path('file'), '')
  expect([path(), path('file'), path('none'), path('file', 'below')].map(exists)).toEqual([true, true, false, false])
})

test('a path that cannot be looked at is an error and not missing', () => {
  symlinkSync('circle', path('circle'))
  expect(() => exists(path('circle', 'db'))).toThrow(FileError)
  expect(() => exists(path('circle', 'db'))).toThrow(/cannot be used: .*\(ELOOP\)/)
})

test('so is a path in a directory that this user may not enter', () => {
  const closed = path('closed')
  mkdirSync(join(closed, 'db'), { recursive: true })
  chmodSync(closed, 0)
  // For root no directory is closed.
  const isRoot = process.geteuid?.() === 0
  if (isRoot) process.seteuid?.(65_534)
  try {
    expect(() => exists(join(closed, 'db'))).toThrow(/cannot be used: permission denied.*\(EACCES\)/)
  } finally {
    if (isRoot) process.seteuid?.(0)
    chmodSync(closed, 0o700)
  }
})

import { chmodSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { openDirectoryWarnings } from '../../src/service/data-directory-mode.js'
import { temporaryFolder } from '../servers/process.js'

test('a data directory that others may enter is reported with its remedy, one of its owner alone is not', () => {
  const folder = temporaryFolder('mode')
  for (const mode of [0o755, 0o750, 0o701]) {
    chmodSync(folder.path, mode)
    expect(openDirectoryWarnings(folder.path)).toEqual([
      expect.stringContaining(`(mode ${mode.toString(8)}): chmod 700 '${folder.path}'`),
    ])
  }
  chmodSync(folder.path, 0o700)
  expect(openDirectoryWarnings(folder.path)).toEqual([])
  folder.remove()
})

test('a directory that nobody made is not reported', () => {
  const folder = temporaryFolder('mode')
  expect(openDirectoryWarnings(`${folder.path}/missing`)).toEqual([])
  folder.remove()
})

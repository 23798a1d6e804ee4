import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { FileError, fileProblem, fileSentence } from '../../src/runtime/file-error.js'
import { readTextFile } from '../../src/runtime/read-file.js'
import { temporaryFolder } from '../servers/process.js'

const folder = temporaryFolder('read-file')
const at = (name: string): string => join(folder.path, name)
beforeAll(() => {
  writeFileSync(at('ten'), '0123456789')
  writeFileSync(at('zeroed'), '\0'.repeat(8))
  writeFileSync(at('half'), 'abcd\0\0\0\0')
  mkdirSync(at('directory'))
  symlinkSync(at('circle'), at('circle'))
  symlinkSync(at('ten'), at('link'))
  execFileSync('mkfifo', [at('pipe')])
})
afterAll(() => {
  folder.remove()
})

const LIMITS = { bytes: 10, patience: 30 }

describe('a file that an operator named', () => {
  test('is read up to its bound, through a link too', () => {
    expect(readTextFile(at('ten'), LIMITS)).toBe('0123456789')
    expect(readTextFile(at('link'), LIMITS)).toBe('0123456789')
    expect(readTextFile('/dev/null', LIMITS)).toBe('')
    expect(readTextFile('/proc/self/comm', { bytes: 100 })).not.toBe('')
  })

  test('may be a pipe that a process fills, however slowly', () => {
    spawn('bash', ['-c', `for part in one two; do sleep 0.05; echo $part; done > '${at('pipe')}'`])
    expect(readTextFile(at('pipe'), { bytes: 10, patience: 60_000 })).toBe('one\ntwo\n')
  })

  test.each([
    ['larger than its bound', () => at('ten'), 'is larger than 9 bytes'],
    ['a device without an end', () => '/dev/zero', 'is larger than 9 bytes'],
    ['a pipe that no process writes into', () => at('pipe'), 'sent nothing, or did not end, for 30 ms'],
    ['zeroed', () => at('zeroed'), 'contains NUL bytes'],
    ['half written', () => at('half'), 'was not written completely; expected text in UTF-8, so restore it'],
    ['a directory', () => at('directory'), 'it is a directory, expected a file (EISDIR)'],
    ['not there', () => at('nowhere'), 'there is no such file or directory; check the path (ENOENT)'],
    ['below a file', () => at('ten/x'), 'a part of the path is a file and not a directory; check the path (ENOTDIR)'],
    ['a link to itself', () => at('circle'), 'look for a link that leads to itself (ELOOP)'],
    ['a name that is too long', () => at('x'.repeat(300)), 'the name is too long (ENAMETOOLONG)'],
    ['a path with a NUL', () => `${at('ten')}\0`, 'the path contains a NUL character (ERR_INVALID_ARG_VALUE)'],
  ])('that is %s is refused with a sentence', (_, path, sentence) => {
    const read = (): string => readTextFile(path(), { ...LIMITS, bytes: 9 })
    expect(read).toThrow(FileError)
    expect(read).toThrow(`${path()} `)
    expect(read).toThrow(sentence)
  })

  test.each([
    'EACCES',
    'EPERM',
    'EROFS',
    'ENOSPC',
    'EDQUOT',
    'EMFILE',
    'ENFILE',
    'EISDIR',
    'ENOTDIR',
    'EIO',
    'ESTALE',
    'EBUSY',
  ])('%s has a sentence wherever a command ends with it', (code) => {
    const error = Object.assign(new Error(`${code}: raw, open '/data/x'`), { code, syscall: 'open', path: '/data/x' })
    expect(fileProblem(error)).toMatch(new RegExp(`^[a-z].+ \\(${code}\\)$`))
    expect(fileSentence(error)).toBe(`/data/x cannot be used: ${fileProblem(error) ?? ''}`)
  })

  test('an error of a socket is none of a file', () => {
    const error = Object.assign(new Error('connect ENOENT'), { code: 'ENOENT', syscall: 'connect', address: '/run/x' })
    expect(fileSentence(error)).toBeUndefined()
  })
})

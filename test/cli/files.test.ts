import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { readUserFile, UserFileError } from '../../src/users/read-user-file.js'
import { shellEnvironment, temporaryFolder } from '../servers/process.js'
import { ROOT } from '../servers/service.js'
import { embeddedFolder } from '../servers/stores.js'
import { tallyman } from '../servers/tallyman.js'

const embedded = embeddedFolder()
const folder = temporaryFolder('files')
const at = (name: string): string => join(folder.path, name)
beforeAll(() => {
  writeFileSync(at('file'), 'x')
  writeFileSync(at('utf-16'), Buffer.from('token-of-many-characters', 'utf16le'))
  mkdirSync(at('directory'))
  symlinkSync(at('circle'), at('circle'))
  symlinkSync(at('nowhere'), at('dangling'))
  execFileSync('mkfifo', [at('pipe')])
})
afterAll(() => {
  folder.remove()
  embedded.remove()
})

/** One sentence, and no stack. */
const SENTENCE = /^tallyman: (?:The configuration cannot be used:\n(?: {2}.+\n)+|.+\n)$/

/** Variables that name a file, and those that may be given as a file; and a command that reads the file. */
const VARIABLES: [string, string[]][] = [
  ['TALLYMAN_CONFIG', ['counters', 'list']],
  ['TALLYMAN_REGISTRIES_FILE', ['counters', 'list']],
  ['TALLYMAN_CLIENTS_FILE', ['counters', 'list']],
  ['TALLYMAN_EVENT_RULES', ['counters', 'list']],
  ['TALLYMAN_USER_TOKEN_KEY', ['counters', 'list']],
  ['TALLYMAN_COUNTRY_FILE', ['pulls']],
  ['TALLYMAN_NETWORK_FILE', ['pulls']],
  ['TALLYMAN_API_TOKENS_FILE', ['counters', 'list']],
  ['TALLYMAN_NOTIFICATION_TOKENS_FILE', ['counters', 'list']],
  ['TALLYMAN_USERS_KEY_FILE', ['counters', 'list']],
  ['DATABASE_URL_FILE', ['counters', 'list']],
]

const UNUSABLE: [string, string, RegExp][] = [
  ['a device without an end', '/dev/zero', /is larger than \d+ bytes/],
  ['a directory', at('directory'), /EISDIR/],
  ['a path below a file', at('file/x'), /ENOTDIR|does not exist/],
  ['a link to itself', at('circle'), /ELOOP|does not exist/],
  ['a name that is too long', at('x'.repeat(300)), /ENAMETOOLONG|does not exist/],
]

describe.each(VARIABLES)('%s that names', (variable, command) => {
  test.each(UNUSABLE)('%s ends in a sentence', async (_, path, problem) => {
    const { code, err } = await tallyman({ TALLYMAN_DATA_DIR: embedded.path, [variable]: path }, ...command)
    expect([code, err]).toEqual([1, expect.stringMatching(SENTENCE)])
    expect(err).toMatch(problem)
    expect(err).toContain(path)
  })
})

test.each(UNUSABLE)('a users file that is %s ends in a sentence', (_, path, problem) => {
  const open = (): unknown => readUserFile(path)
  expect(open).toThrow(UserFileError)
  expect(open).toThrow(path)
  expect(open).toThrow(problem)
})

test('a pipe that no process writes into does not hold a command', async () => {
  const { code, err } = await tallyman({ TALLYMAN_API_TOKENS_FILE: at('pipe') }, 'counters', 'list')
  expect([code, err]).toEqual([1, expect.stringMatching(SENTENCE)])
  expect(err).toContain(`TALLYMAN_API_TOKENS_FILE: ${at('pipe')} cannot be read: it is a pipe or a terminal`)
})

test('a secret in UTF-16 is named', async () => {
  const { code, err } = await tallyman({ TALLYMAN_API_TOKENS_FILE: at('utf-16') }, 'counters', 'list')
  expect([code, err]).toEqual([1, expect.stringMatching(SENTENCE)])
  expect(err).toContain(`TALLYMAN_API_TOKENS_FILE: ${at('utf-16')} contains NUL bytes: it is in UTF-16`)
})

describe('a data directory that cannot be used ends in a sentence:', () => {
  test.each([
    ['a file', () => at('file'), /EEXIST|ENOTDIR/],
    ['below a file', () => at('file/data'), /ENOTDIR/],
    ['a link to itself', () => at('circle'), /ELOOP|EEXIST|ENOTDIR/],
    ['a name that is too long', () => at('x'.repeat(300)), /ENAMETOOLONG/],
  ])('%s', async (_, path, code) => {
    const result = await tallyman({ TALLYMAN_DATA_DIR: path() }, 'migrate')
    expect([result.code, result.err]).toEqual([1, expect.stringMatching(SENTENCE)])
    expect(result.err).toMatch(code)
  })

  test.each(['tallyman.lock', 'users.key'])('one in which %s is a directory', async (name) => {
    const data = at(`data-${name}`)
    mkdirSync(join(data, name), { recursive: true })
    const { code, err } = await tallyman({ TALLYMAN_DATA_DIR: data }, 'counters', 'import', at('file'))
    expect([code, err]).toEqual([1, expect.stringMatching(SENTENCE)])
    expect(err).toContain('EISDIR')
  })

  const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0
  const ONE = 'one on a file system that is read-only, if this machine can mount one'
  ;(canMount ? test : test.skip).each(['migrate', 'serve'])(`${ONE}, with %s`, (command) => {
    const main = join(ROOT, 'dist', 'main.js')
    const script = `mount -t tmpfs none '${at('directory')}' && mount -o remount,ro '${at('directory')}' &&
      TALLYMAN_DATA_DIR='${at('directory')}' TALLYMAN_NOTIFICATION_TOKENS=notification-token TALLYMAN_API_TOKENS=api-token \\
      TALLYMAN_USERS_KEY=a-key-of-many-characters '${process.execPath}' '${main}' ${command}`
    const { stderr } = spawnSync('unshare', ['-rm', 'bash', '-c', script], {
      encoding: 'utf8',
      env: shellEnvironment(),
    })
    expect(stderr).toMatch(SENTENCE)
    expect(stderr).toContain('tallyman.lock cannot be used: the file system is read-only')
  })
})

describe('an import of any size', () => {
  const importing = async (content: string | Buffer): Promise<{ code: number; err: string }> => {
    writeFileSync(at('export'), content)
    return tallyman({ TALLYMAN_DATA_DIR: embedded.path }, 'counters', 'import', '--other-users', at('export'))
  }
  const heading = '{"kind":"tallyman-counters","version":1}\n'

  test.each([
    ['one line that does not end', 'x'.repeat(2_000_000), 'line 1 is longer than 1048576 characters'],
    ['a tally name of 3 MB', `${heading}{"kind":"tally","name":"${'x'.repeat(3_000_000)}"}\n`, 'line 2 is longer than'],
    [
      'a tally name of 1 MB',
      `${heading}{"kind":"tally","name":"${'x'.repeat(1_000_000)}"}\n`,
      'line 2: name: is longer than',
    ],
    ['bytes that are not UTF-8', Buffer.from([...Buffer.from(heading), 0xff, 0x0a]), 'is not UTF-8'],
  ])('with %s ends in a sentence', async (_, content, sentence) => {
    const { code, err } = await importing(content)
    expect([code, err]).toEqual([1, expect.stringMatching(SENTENCE)])
    expect(err).toContain(sentence)
  })

  test('from a device without an end ends in a sentence', async () => {
    const { err } = await tallyman({ TALLYMAN_DATA_DIR: embedded.path }, 'counters', 'import', '/dev/zero')
    expect(err).toContain('/dev/zero: line 1 is longer than 1048576 characters')
  })
})

describe('an export', () => {
  const exportTo = async (file: string): Promise<{ code: number; err: string }> =>
    tallyman({ TALLYMAN_DATA_DIR: embedded.path }, 'counters', 'export', file)

  test('through a link replaces the file that the link leads to, and the link stays', async () => {
    symlinkSync(at('file'), at('link'))
    expect((await exportTo(at('link'))).err).toBe('')
    expect(lstatSync(at('link')).isSymbolicLink()).toBe(true)
    expect(readFileSync(at('file'), 'utf8')).toMatch(/^\{"kind":"tallyman-counters"/)
  })

  test.each([
    ['a link to a file that does not exist', 'dangling', 'is a link to a file that does not exist'],
    ['a link to itself', 'circle', 'ELOOP'],
    ['a path below a file', 'file/x', 'ENOTDIR'],
    ['a directory', 'directory', 'EISDIR'],
    ['a name that is too long', 'x'.repeat(300), 'ENAMETOOLONG'],
    ['a directory that is not there', 'nowhere/x', 'ENOENT'],
  ])('to %s ends in a sentence', async (_, name, sentence) => {
    const { code, err } = await exportTo(at(name))
    expect([code, err]).toEqual([1, expect.stringMatching(SENTENCE)])
    expect(err).toContain(sentence)
    expect(existsSync(at('nowhere'))).toBe(false)
  })
})

test('standard output on a full disk ends in a sentence', () => {
  const command = `'${process.execPath}' '${join(ROOT, 'dist', 'main.js')}' metrics docs > /dev/full`
  const { status, stderr } = spawnSync('bash', ['-c', command], { encoding: 'utf8', env: shellEnvironment() })
  expect([status, stderr]).toEqual([
    1,
    'tallyman: standard output cannot be written: no space is left on the disk (ENOSPC)\n',
  ])
})

test('a statement with a NUL is refused', async () => {
  const { code, err } = await tallyman({ TALLYMAN_DATA_DIR: embedded.path }, 'sql', "select 'a\0b'")
  expect([code, err]).toEqual([1, 'tallyman: the statement has a NUL character, which SQL cannot contain\n'])
})

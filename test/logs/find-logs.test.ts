import { execFileSync } from 'node:child_process'
import { chmodSync, linkSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { findLogs, type FoundLog } from '../../src/logs/find-logs.js'
import { temporaryFolder } from '../servers/process.js'

const NO_INPUT = Readable.from([])
let folder: ReturnType<typeof temporaryFolder>
beforeEach(() => {
  folder = temporaryFolder('find-logs')
})
afterEach(() => {
  folder.remove()
})

const at = (name: string): string => join(folder.path, name)
const put = (name: string, content: string | Buffer = `${name}\n`): void => {
  mkdirSync(join(at(name), '..'), { recursive: true })
  writeFileSync(at(name), content)
}

type Found = { logs: string[]; leftOut: Record<string, string>; unreadable: Record<string, string> }

/** What is found, with paths in the temporary folder. */
const find = async (paths: string[], most?: number): Promise<Found> => {
  const found: Found = { logs: [], leftOut: {}, unreadable: {} }
  const own = (path: string): string => path.replace(`${folder.path}/`, '').replaceAll(folder.path, '.')
  for await (const one of findLogs(paths, { input: NO_INPUT, ...(most !== undefined && { most }) })) {
    if (one.kind === 'log') found.logs.push(own(one.source.name))
    else found[one.kind === 'left_out' ? 'leftOut' : 'unreadable'][own(one.path)] = own(one.reason)
  }
  return found
}

const textOf = async (found: FoundLog): Promise<string> => {
  const chunks: Buffer[] = []
  if (found.kind === 'log') for await (const chunk of await found.source.open()) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

test('a folder is read with all below it, sorted by name, and reports what is left out', async () => {
  for (const name of ['b/2.log', 'b/10.log', 'access.log', 'access.log.1', 'z.log', '.hidden', '.git/config']) put(name)
  for (const name of [
    'error.log',
    'nginx_error.log.2.gz',
    'old.tar.gz',
    'access.log.swp',
    'access.log~',
    'SUMS.sha256',
    'wtmp',
  ])
    put(name)
  put('empty.log', '')
  expect(await find([folder.path])).toEqual({
    logs: ['access.log', 'access.log.1', 'b/10.log', 'b/2.log', 'z.log'],
    leftOut: {
      '.git': 'is hidden',
      '.hidden': 'is hidden',
      'SUMS.sha256': 'is a checksum or a signature by its name',
      'access.log.swp': 'is a temporary file by its name',
      'access.log~': 'is a temporary file by its name',
      'empty.log': 'is empty',
      'error.log': 'is an error log by its name',
      'nginx_error.log.2.gz': 'is an error log by its name',
      'old.tar.gz': 'is an archive by its name: unpack it to import what is in it',
      wtmp: 'is a log of the system by its name',
    },
    unreadable: {},
  })
})

test('a file that is named itself is read whatever its name is', async () => {
  for (const name of ['.hidden', 'error.log', 'a[1]*.log']) put(name)
  expect((await find([at('.hidden'), at('error.log'), at('a[1]*.log')])).logs).toEqual([
    '.hidden',
    'error.log',
    'a[1]*.log',
  ])
})

test('a pattern matches as in a shell', async () => {
  for (const name of ['a.log', 'a.log.1.gz', 'b.log', 'sub/c.log', 'sub/deep/d.log', '.x.log', 'two/e.log']) put(name)
  const logs = async (pattern: string): Promise<string[]> => (await find([at(pattern)])).logs
  expect(await logs('*.log')).toEqual(['a.log', 'b.log'])
  expect(await logs('a.log*')).toEqual(['a.log', 'a.log.1.gz'])
  expect(await logs('?.log')).toEqual(['a.log', 'b.log'])
  expect(await logs('[b-z].log')).toEqual(['b.log'])
  expect(await logs('*/*.log')).toEqual(['sub/c.log', 'two/e.log'])
  expect(await logs('s*')).toEqual(['sub/c.log', 'sub/deep/d.log'])
  expect(await logs('**/*.log')).toEqual(['a.log', 'b.log', 'sub/c.log', 'sub/deep/d.log', 'two/e.log'])
  expect(await logs('{two/e,a}.log')).toEqual(['a.log', 'two/e.log'])
  expect(await logs('sub/**/d.log')).toEqual(['sub/deep/d.log'])
})

test('a file that several paths lead to comes once', async () => {
  put('logs/a.log')
  linkSync(at('logs/a.log'), at('logs/b.log'))
  symlinkSync(at('logs/a.log'), at('logs/c.log'))
  symlinkSync(at('logs'), at('link'))
  const paths = ['logs', 'logs/a.log', 'logs/../logs', 'link', 'logs/*.log'].map((name) => `${folder.path}/${name}`)
  const { logs, leftOut, unreadable } = await find(paths)
  expect(logs).toEqual(['logs/a.log'])
  expect(new Set(Object.values(leftOut))).toEqual(new Set(['is a file that came before under another path']))
  expect(unreadable).toEqual({})
})

test('links in a circle end, and links to folders are reported', async () => {
  put('logs/a.log')
  symlinkSync('.', at('logs/loop'))
  symlinkSync('itself', at('logs/itself'))
  symlinkSync('missing', at('logs/broken'))
  expect(await find([at('logs')])).toEqual({
    logs: ['logs/a.log'],
    leftOut: { 'logs/loop': 'is a link to a folder: name the folder to import it' },
    unreadable: {
      'logs/broken': 'cannot be read: there is no such file or directory; check the path (ENOENT)',
      'logs/itself':
        'cannot be read: the path has too many symbolic links; look for a link that leads to itself (ELOOP)',
    },
  })
  expect((await find([at('logs/**/*.log')])).logs).toEqual(['logs/a.log'])
  expect((await find([at('logs/loop')])).logs).toEqual(['logs/loop/a.log'])
})

test('named pipes, sockets and devices are never opened', async () => {
  put('logs/a.log')
  execFileSync('mkfifo', [at('logs/pipe')])
  const server = createServer().listen(at('logs/socket'))
  symlinkSync('/dev/zero', at('logs/zero'))
  try {
    expect(await find([at('logs'), at('logs/pipe'), at('logs/socket'), '/dev/zero'])).toEqual({
      logs: ['logs/a.log'],
      leftOut: {
        'logs/pipe': 'is a named pipe, a socket or a device',
        'logs/socket': 'is a named pipe, a socket or a device',
        'logs/zero': 'is a link to a named pipe, a socket or a device',
      },
      unreadable: {
        'logs/pipe': 'is a named pipe and not a file: pipe its data to tallyman import -',
        'logs/socket': 'is a socket and not a file: pipe its data to tallyman import -',
        '/dev/zero': 'is a device and not a file: pipe its data to tallyman import -',
      },
    })
  } finally {
    server.close()
  }
})

/** Root may read everything, so the rights of another user are taken meanwhile. */
const withoutRights = async (run: () => Promise<void>): Promise<void> => {
  const isRoot = process.getuid?.() === 0
  if (isRoot) process.seteuid?.(65_534)
  try {
    await run()
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
}

test('a folder or a file without rights is reported, and the others are read', async () => {
  for (const name of ['logs/a.log', 'logs/secret.log', 'logs/private/b.log', 'logs/z.log']) put(name)
  chmodSync(folder.path, 0o755)
  for (const name of ['logs/secret.log', 'logs/private']) chmodSync(at(name), 0)
  const denied =
    'cannot be read: permission denied; check its owner and mode, and the modes of the directories above it (EACCES)'
  await withoutRights(async () => {
    expect(await find([at('logs'), at('logs/**/*.log')])).toMatchObject({
      logs: ['logs/a.log', 'logs/z.log'],
      unreadable: { 'logs/secret.log': denied, 'logs/private': denied },
    })
    expect((await find([at('logs/private/b.log')])).unreadable).toEqual({ 'logs/private/b.log': denied })
  })
})

test('a path that leads to nothing is an error before the first log', async () => {
  put('a.log')
  await expect(find([at('a.log'), at('b.log')])).rejects.toThrow(
    `${folder.path}/b.log cannot be read: there is no such file or folder; check the path`,
  )
  await expect(find([at('a.log'), at('*.gz')])).rejects.toThrow('*.gz matches no file: check the pattern')
  await expect(find([at('missing/*.gz')])).rejects.toThrow(
    '/missing cannot be read: there is no such file or directory',
  )
  mkdirSync(at('empty'))
  expect((await find([at('empty')])).unreadable).toEqual({
    empty: 'contains no file that may be a log: check the path',
  })
})

test('too many files are refused with a limit', async () => {
  for (let i = 0; i < 6; i++) put(`logs/${i}.log`)
  expect((await find([at('logs')], 5)).unreadable.logs).toMatch(/^contains more than 5 entries: import it in parts/)
  expect((await find([at('logs')], 6)).logs).toHaveLength(6)
  put('a.log')
  await expect(find([at('logs'), at('a.log')], 6)).rejects.toThrow(
    'a.log follows 6 other files, the most for one import',
  )
})

test('a file that disappears after it was found is an error that names it', async () => {
  put('a.log')
  for await (const found of findLogs([at('a.log')], { input: NO_INPUT })) {
    folder.remove()
    await expect(textOf(found)).rejects.toThrow('a.log cannot be read: there is no such file or directory')
  }
})

test('only a file that is not compressed can grow', async () => {
  put('a.log')
  put('a.log.gz', gzipSync('line'))
  const canGrow: unknown[] = []
  for await (const found of findLogs([folder.path, '-'], { input: NO_INPUT }))
    if (found.kind === 'log') canGrow.push([found.source.name.split('/').at(-1), found.source.canGrow === true])
  expect(canGrow).toEqual([
    ['a.log', true],
    ['a.log.gz', false],
    ['standard input', false],
  ])
})

test('standard input can be read twice, is decompressed, and leaves nothing behind', async () => {
  const before = readdirSync(tmpdir()).filter((name) => name.startsWith('tallyman-import-'))
  const packed = gzipSync('line\nlast')
  const input = Readable.from([packed.subarray(0, 3), packed.subarray(3)])
  for await (const found of findLogs(['-', '-'], { input })) {
    expect([await textOf(found), await textOf(found)]).toEqual(['line\nlast', 'line\nlast'])
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('tallyman-import-'))).toEqual(before)
  }
  const broken = Readable.from(
    (async function* () {
      yield await Promise.resolve(Buffer.from('line'))
      throw Object.assign(new Error('of the pipe'), { code: 'EIO' })
    })(),
  )
  const read = async (): Promise<void> => {
    for await (const found of findLogs(['-'], { input: broken })) await textOf(found)
  }
  await expect(read()).rejects.toThrow(/^standard input cannot be copied to .*EIO.*TMPDIR names another folder$/)
  expect(readdirSync(tmpdir()).filter((name) => name.startsWith('tallyman-import-'))).toEqual(before)
})

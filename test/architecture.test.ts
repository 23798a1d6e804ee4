import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'

const SRC = fileURLToPath(new URL('../src', import.meta.url))

/** Which folder of src may import which: docs/architecture.md has the reasons. */
const MAY_IMPORT: Record<string, string[]> = {
  events: [],
  runtime: [],
  tokens: ['events'],
  sources: ['events', 'runtime'],
  storage: ['runtime'],
  schema: ['runtime', 'storage'],
  definitions: ['runtime'],
  users: ['events', 'runtime'],
  counters: ['definitions', 'events', 'runtime', 'storage'],
  registries: ['events', 'runtime', 'storage'],
  inventory: ['events', 'registries', 'runtime', 'storage'],
  requesters: ['definitions', 'events', 'runtime', 'storage'],
  pulls: ['events', 'inventory', 'requesters', 'runtime', 'storage'],
  logs: ['events', 'runtime', 'sources', 'storage'],
  ingest: ['counters', 'events', 'inventory', 'pulls', 'runtime', 'storage', 'users'],
  metrics: ['counters', 'definitions', 'events', 'storage'],
  ping: ['metrics', 'runtime', 'storage'],
  exports: ['events', 'pulls', 'runtime', 'storage'],
  config: ['events', 'pulls', 'registries', 'requesters', 'runtime', 'storage', 'tokens', 'users'],
  http: [
    'counters',
    'events',
    'ingest',
    'inventory',
    'metrics',
    'ping',
    'pulls',
    'registries',
    'requesters',
    'runtime',
    'sources',
    'storage',
    'tokens',
    'users',
  ],
}
const FOLDERS = Object.keys(MAY_IMPORT)
/** `service` joins the folders; the command line stands on it. Neither is imported from below. */
MAY_IMPORT.service = [...FOLDERS, 'home.ts']
MAY_IMPORT.cli = [...FOLDERS, 'service', 'home.ts']
/** They lie beside the folders, for the sake of the bundle. */
MAY_IMPORT['main.ts'] = ['cli']
MAY_IMPORT['home.ts'] = []

/** The rooms of a folder: which may import which of its other rooms. */
const ROOMS: Record<string, Record<string, string[]>> = {
  inventory: {
    model: [],
    record: ['model'],
    'read-back': ['model', 'record'],
    reconcile: ['model', 'record'],
    questions: ['model', 'record'],
    summary: ['model', 'questions'],
  },
  pulls: {
    model: [],
    fold: ['model'],
    requests: ['fold', 'model'],
    erasures: [],
    segments: ['erasures', 'fold'],
    'fold-job': ['fold', 'model', 'requests'],
    'day-fold': ['erasures', 'fold', 'fold-job', 'model', 'requests', 'segments'],
    provisional: ['fold', 'fold-job', 'model', 'requests'],
    'roll-up': ['day-fold', 'erasures', 'fold', 'fold-job', 'model', 'provisional', 'segments'],
    aliases: ['fold', 'fold-job', 'model', 'provisional', 'roll-up', 'segments'],
    query: ['fold', 'model', 'requests', 'segments'],
  },
  storage: {
    sql: [],
    embedded: ['sql'],
    sketches: ['sql'],
    'directory-lock.ts': [],
    'unavailable.ts': ['sketches', 'sql'],
    'kept-job.ts': ['sql', 'unavailable.ts'],
    'each-alone.ts': ['sql', 'unavailable.ts'],
  },
}

type Import = { file: string; from: string; to: string; target: string }

const folderOf = (file: string): string => file.split('/')[0] ?? ''

const imports = (): Import[] => {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  return files.flatMap((file) => {
    const source = readFileSync(join(SRC, file), 'utf8')
    const specifiers = [...source.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(
      ([, specifier = '']) => specifier,
    )
    return specifiers.map((specifier) => {
      const target = relative(SRC, normalize(join(SRC, dirname(file), specifier))).replace(/\.js$/, '.ts')
      return { file, from: folderOf(file), to: folderOf(target), target }
    })
  })
}

describe('the house', () => {
  const found = imports()

  test('every folder imports only what the table allows', () => {
    const broken = found
      .filter(({ from, to }) => from !== to && !(MAY_IMPORT[from] ?? []).includes(to))
      .map(({ file, target }) => `${file} imports ${target}`)
    expect(found.length).toBeGreaterThan(150)
    expect(broken).toEqual([])
  })

  test.each(Object.keys(ROOMS))('every room of %s imports only what its table allows', (folder) => {
    const rooms = ROOMS[folder] ?? {}
    const roomOf = (file: string): string => file.split('/')[1] ?? ''
    const within = found.filter(
      ({ from, to, file, target }) => from === folder && to === folder && roomOf(file) !== roomOf(target),
    )
    const broken = within.filter(({ file, target }) => !(rooms[roomOf(file)] ?? []).includes(roomOf(target)))
    expect(broken.map(({ file, target }) => `${file} imports ${target}`)).toEqual([])
    expect(within.length).toBeGreaterThan(20)
    const listed = readdirSync(join(SRC, folder), { withFileTypes: true }).map(({ name }) => name)
    expect(listed.filter((name) => !(name in rooms))).toEqual([])
  })

  test('the table knows every folder, and has no circle', () => {
    const folders = readdirSync(SRC, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    expect(folders.map(({ name }) => name).filter((name) => !(name in MAY_IMPORT))).toEqual([])
    const reaches = (folder: string, seen: string[]): string[] =>
      seen.includes(folder) ? [folder] : (MAY_IMPORT[folder] ?? []).flatMap((next) => reaches(next, [...seen, folder]))
    expect(Object.keys(MAY_IMPORT).flatMap((folder) => reaches(folder, []))).toEqual([])
  })

  test('docs/architecture.md has the same tables', () => {
    const text = readFileSync(join(SRC, '..', 'docs', 'architecture.md'), 'utf8')
    const rows = [...text.matchAll(/^\| `([\w/-]+)` +\|[^|]+\| ([^|]+?) +\|$/gm)].map(([, name = '', may = '']) => [
      name,
      [...may.matchAll(/`([\w-]+)`/g)].map(([, one]) => one),
    ])
    const rooms = Object.entries(ROOMS).flatMap(([folder, of]) =>
      Object.entries(of)
        .filter(([room]) => !room.endsWith('.ts'))
        .map(([room, may]) => [`${folder}/${room}`, may]),
    )
    const expected = [...FOLDERS.map((folder) => [folder, MAY_IMPORT[folder]]), ['service', []], ['cli', []], ...rooms]
    expect(rows).toEqual(expected)
  })

  test('only runtime/jobs.ts knows node-cron, only storage the drivers and leases, only the command line the environment', () => {
    const users = (pattern: RegExp): string[] =>
      readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(
        (file) => file.endsWith('.ts') && pattern.test(readFileSync(join(SRC, file), 'utf8')),
      )
    expect(users(/'node-cron'/)).toEqual([join('runtime', 'jobs.ts')])
    expect(users(/from '(pg|ioredis|@electric-sql\/pglite.*)'/).filter((file) => !file.startsWith('storage/'))).toEqual(
      [],
    )
    // Elsewhere a lease is taken by holdLease, which renews and releases it.
    expect(users(/\btakeLease\b/)).toEqual([join('storage', 'sql', 'leases.ts')])
    // Output is escaped in one place: a name may contain what commands a terminal.
    expect(users(/\.(stdout|stderr)\b(?!\.on\()|\bstd(out|err)\.write\(/).sort()).toEqual(
      ['output.ts', 'progress.ts'].map((file) => join('cli', 'terminal', file)),
    )
    // A file that an operator names may have no end: it is read with a bound.
    expect(users(/import [^;]*?\b(readFile(Sync)?|createReadStream)\b[^;]*? from 'node:fs/).sort()).toEqual([
      'home.ts',
      join('requesters', 'salt-files.ts'),
      // A file of the kernel.
      join('service', 'open-files.ts'),
      // A file of PGlite.
      join('storage', 'embedded', 'statement-limit.ts'),
    ])
    // Commands read and write their context: tests run several in one process.
    expect(users(/process\.(env|stdout|stderr)\b|process\.exitCode =|console\./)).toEqual([])
  })
})

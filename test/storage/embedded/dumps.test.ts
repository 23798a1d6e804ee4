import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { dumpNow } from '../../../src/storage/embedded/dump-now.js'
import { createDumps } from '../../../src/storage/embedded/dumps.js'
import { duringBackupOn } from '../../../src/storage/embedded/backup.js'
import { TAR, writeDump } from '../../../src/storage/embedded/dump.js'
import { markErasure, readMark } from '../../../src/storage/sql/erasure-marks.js'
import { openPglite, type EmbeddedDatabase } from '../../../src/storage/embedded/pglite.js'
import { openStores } from '../../../src/service/stores.js'
import { fixedClock, NOW } from '../../servers/clock.js'
import { readConfig } from '../../../src/config/config.js'
import { ROOT } from '../../servers/service.js'
import { embeddedFolder } from '../../servers/stores.js'

let folder: ReturnType<typeof embeddedFolder>
let database: EmbeddedDatabase
beforeEach(async () => {
  folder = embeddedFolder()
  database = await openPglite(folder.path)
})
afterEach(async () => {
  await database.close()
  folder.remove()
})

/** A promise that a test resolves. */
const signal = (): { given: Promise<void>; give: () => void } => {
  let give = (): void => undefined
  const given = new Promise<void>((resolve) => (give = resolve))
  return { given, give }
}

test('a dump that is written during a whole erasure leaves the mark of the erasure', async () => {
  const [isCopied, isErased] = [signal(), signal()]
  let attempts = 0
  const dump: EmbeddedDatabase['dump'] = async (at, keep) => {
    if (++attempts > 1) throw new Error('killed')
    const file = await database.dump(at, keep)
    isCopied.give()
    await isErased.given
    return file
  }
  const dumps = createDumps({ ...database, dump }, fixedClock)
  await markErasure(database.sql, ['dumps'])
  const writing = dumps.write()
  const erasing = dumps.replaceAfter(async () => isCopied.given)
  await isCopied.given
  // The erasure is over when its own dump waits for the one under way.
  while ((await readMark(database.sql, 'dumps')) !== '3') await new Promise(setImmediate)
  isErased.give()
  await writing
  await expect(erasing).rejects.toThrow('killed')
  expect(await readMark(database.sql, 'dumps')).toBe('3')
})

test('a restored dump that contains the mark of an erasure has older dumps removed, and no later one', async () => {
  let day = 1
  const clock = (): Date => new Date(`2026-11-0${day}T03:41:00Z`)
  const dumps = createDumps(database, clock)
  const file = (n: number): string => join(folder.path, 'dumps', `tallyman-2026-11-0${n}.tar.gz`)
  await dumps.write()
  day = 2
  await markErasure(database.sql, ['dumps'])
  await database.dump(clock(), 3)
  day = 3
  await database.dump(clock(), 3)
  for (const [n, year] of [
    [1, 2025],
    [3, 2125],
  ] as const)
    utimesSync(file(n), new Date(`${year}-11-01`), new Date(`${year}-11-01`))
  await database.close()
  rmSync(join(folder.path, 'db'), { recursive: true })
  mkdirSync(join(folder.path, 'db'))
  execFileSync('tar', ['-xzf', file(2), '-C', join(folder.path, 'db')])
  day = 4
  const stores = await openStores(readConfig({ TALLYMAN_DATA_DIR: folder.path }, ROOT), clock)
  await stores.dumps?.replaceMarked()
  await stores.close()
  expect(readdirSync(join(folder.path, 'dumps'))).toEqual(['tallyman-2026-11-03.tar.gz', 'tallyman-2026-11-04.tar.gz'])
  database = await openPglite(folder.path)
  expect(await readMark(database.sql, 'dumps')).toBeUndefined()
})

test('the log is marked before a migration, which may be the last that the process does', async () => {
  await sql`delete from kysely_migration where name >= '0038-bounded-marks'`.execute(database.sql)
  await sql`delete from erasure_marks`.execute(database.sql)
  await database.close()
  // The column is there, so the migration fails.
  await expect(openStores(readConfig({ TALLYMAN_DATA_DIR: folder.path }, ROOT), fixedClock)).rejects.toThrow(
    /restored_at/,
  )
  database = await openPglite(folder.path)
  expect(await readMark(database.sql, 'log')).toBeDefined()
})

const inDumps = (): string[] => readdirSync(join(folder.path, 'dumps')).sort()
/** Files of an operator, of which some look like dumps and some sort before or after them. */
const FOREIGN = [
  '0.tar.gz',
  'data.part',
  'notes.txt',
  'tallyman-2026-11-19-copy.tar.gz',
  'tallyman-before-upgrade.tar.gz',
  'z.tar.gz',
]
const fileOf = (day: string): string => `tallyman-${day}.tar.gz`
const put = (names: readonly string[]): void => {
  mkdirSync(join(folder.path, 'dumps'), { recursive: true })
  for (const name of names) writeFileSync(join(folder.path, 'dumps', name), 'x')
}

test('a dump keeps all files that Tallyman did not write, and counts none of them', async () => {
  const old = ['2026-11-17', '2026-11-18', '2026-11-19'].map(fileOf)
  put([...FOREIGN, ...old])
  await createDumps(database, fixedClock).write()
  expect(inDumps()).toEqual([...FOREIGN, ...old.slice(1), fileOf('2026-11-21')].sort())
})

test('a dump is kept and the newest, although earlier dumps are of later days: the clock was ahead', async () => {
  database = await database.close().then(async () => openPglite(folder.path, { now: fixedClock }))
  const ahead = ['2027-01-01', '2027-01-02', '2127-01-03'].map(fileOf)
  put(['2026-11-20'].map(fileOf))
  put(ahead)
  const past = new Date('2020-01-01')
  for (const name of inDumps()) utimesSync(join(folder.path, 'dumps', name), past, past)
  const { lastAt } = await dumpNow(createDumps(database, fixedClock))
  expect(lastAt).not.toEqual(past)
  expect(inDumps()).toEqual([fileOf('2026-11-20'), fileOf('2026-11-21'), fileOf('2127-01-03')])
})

test('an erasure leaves its new dump alone of all dumps, and names files that Tallyman did not write', async () => {
  const notices: string[] = []
  const dumps = createDumps(database, fixedClock)
  dumps.onNotice((notice) => notices.push(notice))
  put([...FOREIGN, fileOf('2026-11-20'), fileOf('2127-01-01'), fileOf('2127-01-02'), fileOf('2127-01-03')])
  await dumps.replaceAfter(async () => Promise.resolve())
  expect(inDumps()).toEqual([...FOREIGN, fileOf('2026-11-21')].sort())
  expect(notices).toEqual([
    expect.stringMatching(/^Tallyman did not write these files .*dumps\/0\.tar\.gz, .* may contain what was erased$/),
  ])
  for (const name of FOREIGN) expect(notices[0]).toContain(`/${name}`)
  expect(await readMark(database.sql, 'dumps')).toBeUndefined()
})

test('an erasure names at most ten files that Tallyman did not write, and makes no first dump because of them', async () => {
  const notices: string[] = []
  const dumps = createDumps(database, fixedClock)
  dumps.onNotice((notice) => notices.push(notice))
  put(Array.from({ length: 12 }, (_, i) => `${100 + i}.tgz`))
  symlinkSync('nowhere', join(folder.path, 'dumps', fileOf('2026-11-20')))
  await dumps.replaceAfter(async () => Promise.resolve())
  expect(inDumps()).toHaveLength(13)
  expect(notices).toEqual([expect.stringMatching(/109\.tgz and 3 more\. If/)])
})

test('an erasure whose new dump is gone removes no other dump, and stays marked', async () => {
  put([fileOf('2026-11-19'), fileOf('2026-11-20')])
  const dump: EmbeddedDatabase['dump'] = async (at, keep) => {
    const file = await database.dump(at, keep)
    rmSync(file)
    return file
  }
  const dumps = createDumps({ ...database, dump }, fixedClock)
  await expect(dumps.replaceAfter(async () => Promise.resolve())).rejects.toThrow(/2026-11-21.* was removed/)
  expect(inDumps()).toEqual([fileOf('2026-11-19'), fileOf('2026-11-20')])
  expect(await readMark(database.sql, 'dumps')).toBeDefined()
})

test('a restored mark has dumps of a clock that was ahead removed: the time of their state is unknown', async () => {
  const [later, ahead] = [fileOf('2026-11-20'), fileOf('2127-01-01')]
  put([later, ahead])
  const restoredAt = new Date('2026-11-19')
  await markErasure(database.sql, ['dumps'])
  await sql`update erasure_marks set restored_at = ${restoredAt}`.execute(database.sql)
  for (const name of [later, ahead]) utimesSync(join(folder.path, 'dumps', name), NOW, NOW)
  await createDumps(database, fixedClock).replaceMarked()
  expect(inDumps()).toEqual([later, fileOf('2026-11-21')])
})

test('a tar that does not end is killed after its time: the dump has failed, and the next one is written', async () => {
  const program = join(folder.path, 'tar-that-hangs')
  writeFileSync(program, "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n", { mode: 0o700 })
  const deps = {
    data: join(folder.path, 'db'),
    dumps: join(folder.path, 'dumps'),
    duringBackup: duringBackupOn(async (statement) => sql.raw(statement).execute(database.sql)),
    packing: { program, longestMs: () => 100 },
  }
  const hanging = createDumps({ ...database, dump: async (at, keep) => writeDump(deps, at, keep) }, fixedClock)
  await expect(dumpNow(hanging)).rejects.toThrow(
    /^the dump could not be written: .*tar-that-hangs was ended: it did not pack the dump within 0\.1 s$/,
  )
  expect(inDumps()).toEqual([])
  expect(await hanging.state()).toMatchObject({ failedAt: NOW, error: expect.stringContaining('was ended') })
  const dumps = createDumps(database, fixedClock)
  await dumps.write()
  expect(inDumps()).toEqual([fileOf('2026-11-21')])
  expect(await dumps.state()).toMatchObject({ failedAt: null, error: null })
})

test('tar has ten minutes, and a second for each MiB', () => {
  expect(TAR.longestMs(0)).toBe(600_000)
  expect(TAR.longestMs(50 * 2 ** 30)).toBe(600_000 + 51_200_000)
})

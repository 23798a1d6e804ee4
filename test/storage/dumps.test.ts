import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { createDumps } from '../../src/storage/dumps.js'
import { markErasure, readMark } from '../../src/storage/erasure-marks.js'
import { openPglite, type EmbeddedDatabase } from '../../src/storage/pglite.js'
import { openStores } from '../../src/stores.js'
import { fixedClock } from '../servers/clock.js'
import { readConfig } from '../../src/config.js'
import { ROOT } from '../servers/service.js'
import { embeddedFolder } from '../servers/stores.js'

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
  const dump: EmbeddedDatabase['dump'] = async (name, keep) => {
    if (++attempts > 1) throw new Error('killed')
    const file = await database.dump(name, keep)
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
  await database.dump('tallyman-2026-11-02', 3)
  day = 3
  await database.dump('tallyman-2026-11-03', 3)
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

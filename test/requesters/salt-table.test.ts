import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { microsOf } from '../../src/events/calendar.js'
import { createSaltTable } from '../../src/requesters/salt-table.js'
import { createLosses } from '../../src/storage/sql/losses.js'
import { periodOf, type StoredSalt } from '../../src/requesters/salts.js'
import { openServerStores, type TestStores } from '../servers/stores.js'

const at = (time: string): number => microsOf(new Date(time))
const saltOf = (time: string, text: string): StoredSalt => ({
  rotation: 'monthly',
  ...periodOf(at(time), 'monthly'),
  text,
})
const NOVEMBER = saltOf('2026-11-01T00:00:00Z', 'zQ8kd2XW9lm4rT7yV1pB6nC3')
const DECEMBER = saltOf('2026-12-01T00:00:00Z', 'hJ5gF0sAaEeIiOoUuMxWv9Xb')

let stores: TestStores
beforeAll(async () => {
  stores = await openServerStores()
})
afterAll(async () => stores.close())
beforeEach(async () => stores.clear())

/** Of the salts, those that the file of the table contains. */
const inFile = async (): Promise<StoredSalt[]> => {
  const db = stores.database.sql
  await sql`checkpoint`.execute(db)
  const { rows } = await sql<{ bytes: Buffer }>`
    select pg_read_binary_file(pg_relation_filepath('pulls.salts')) as bytes
  `.execute(db)
  return [NOVEMBER, DECEMBER].filter(({ text }) => rows[0]?.bytes.includes(text))
}

test('on PostgreSQL, an ended salt is not in the file of the table', async () => {
  const table = createSaltTable(stores.database)
  await table.add([NOVEMBER, DECEMBER])
  await table.keepOnly('monthly', NOVEMBER.until)
  expect(await inFile()).toEqual([NOVEMBER, DECEMBER])
  await table.keepOnly('monthly', NOVEMBER.until + 1)
  expect(await inFile()).toEqual([DECEMBER])
  expect(await table.list()).toEqual([DECEMBER])
})

test('while a backup reads the table, salts are deleted, and their bytes with the next rotation after it', async () => {
  const table = createSaltTable(stores.database)
  await table.add([NOVEMBER, DECEMBER])
  await stores.database.transaction(async (tx) => {
    await sql`select from pulls.salts`.execute(tx)
    await table.keepOnly('monthly', NOVEMBER.until + 1)
  })
  expect(await table.list()).toEqual([DECEMBER])
  expect(await inFile()).toEqual([NOVEMBER, DECEMBER])
  await table.keepOnly('monthly', NOVEMBER.until + 1)
  expect(await inFile()).toEqual([DECEMBER])
})

test('a process that was stopped before it rewrote the table leaves that to the next one', async () => {
  await createSaltTable(stores.database).add([NOVEMBER, DECEMBER])
  await sql`delete from pulls.salts where salt = ${NOVEMBER.text}`.execute(stores.database.sql)
  expect(await inFile()).toEqual([NOVEMBER, DECEMBER])
  await createSaltTable(stores.database).keepOnly('monthly', NOVEMBER.until + 1)
  expect(await inFile()).toEqual([DECEMBER])
})

test('after a restore, the table is written to a new file again', async () => {
  const losses = createLosses()
  const table = createSaltTable({ ...stores.database, losses })
  await table.add([NOVEMBER, DECEMBER])
  await table.keepOnly('monthly', NOVEMBER.until)
  await sql`delete from pulls.salts where salt = ${NOVEMBER.text}`.execute(stores.database.sql)
  losses.broke()
  await table.keepOnly('monthly', NOVEMBER.until + 1)
  expect(await inFile()).toEqual([DECEMBER])
})

test('PostgreSQL keeps no values of columns with salts and names in its statistics', async () => {
  const db = stores.database.sql
  await sql`insert into pulls.salts select 'daily', now() + i * interval '1 day', now(), 'salt' || i from generate_series(1, 100) i`.execute(
    db,
  )
  await sql`insert into inventory.actors select i, now(), 'name' || i % 3 from generate_series(1, 100) i`.execute(db)
  await sql`insert into unresolved_users select 'name' || i % 3, 'event' || i, now() from generate_series(1, 100) i`.execute(
    db,
  )
  for (const table of ['pulls.salts', 'inventory.actors', 'unresolved_users', 'inventory.changes'])
    await sql`analyze ${sql.table(table)}`.execute(db)
  const { rows } = await sql<{ column: string }>`
    select tablename || '.' || attname as column from pg_stats
    where tablename || '.' || attname in ('salts.salt', 'actors.name', 'unresolved_users.name', 'salts.starts_at')
  `.execute(db)
  expect(rows).toEqual([{ column: 'salts.starts_at' }])
})

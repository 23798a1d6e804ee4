import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { largeTables, usesManyTransactionIds, vacuumTables } from '../../../src/storage/embedded/vacuum.js'
import { openPglite, type EmbeddedDatabase } from '../../../src/storage/embedded/pglite.js'
import { embeddedFolder } from '../../servers/stores.js'

const folder = embeddedFolder('empty')
let database: EmbeddedDatabase
beforeAll(async () => {
  database = await openPglite(folder.path)
  for (const name of ['updated', 'small'])
    await sql`create table ${sql.id(name)} (n int primary key, filler text)`.execute(database.sql)
  await sql`insert into small select 1, 'x'`.execute(database.sql)
  await sql`insert into updated select n, repeat('x', 200) from generate_series(1, 10000) n`.execute(database.sql)
})
afterAll(async () => {
  await database.close()
  folder.remove()
})

const bytes = async (): Promise<number> => {
  const { rows } = await sql<{ bytes: string }>`select pg_relation_size('updated') as bytes`.execute(database.sql)
  return Number(rows[0]?.bytes)
}
const updateAll = async (): Promise<unknown> => sql`update updated set filler = repeat('y', 200)`.execute(database.sql)

test('a table whose rows are updated each day stops growing, if it is vacuumed each night', async () => {
  const sizes: number[] = []
  for (let day = 1; day <= 5; day++) {
    await updateAll()
    await vacuumTables(database.sql)
    sizes.push(await bytes())
  }
  expect(sizes.slice(1)).toEqual(sizes.slice(1).map(() => sizes[1]))
})

test('a table is vacuumed once in each process, and again if many of its rows are dead', async () => {
  expect(await vacuumTables(database.sql)).toEqual([])
  await sql`update updated set filler = '' where n <= 500`.execute(database.sql)
  expect(await vacuumTables(database.sql)).toEqual([])
  await updateAll()
  expect(await vacuumTables(database.sql)).toEqual(['public.updated'])
})

test('a table that is too large is left out, and named', async () => {
  await updateAll()
  expect(await vacuumTables(database.sql, 1_000_000)).toEqual([])
  expect(await largeTables(database, 1_000_000)).toEqual(['public.updated'])
  expect(await largeTables(database)).toEqual([])
})

test('the use of transaction ids is known before the database takes no more writes', async () => {
  for (let n = 0; n < 20; n++) await sql`update small set filler = ${String(n)}`.execute(database.sql)
  expect(await usesManyTransactionIds(database, 20)).toBe(true)
  expect(await usesManyTransactionIds(database)).toBe(false)
})

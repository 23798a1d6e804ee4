import { expect, test } from '@jest/globals'
import { Migrator, sql } from 'kysely'
import { migrate, MIGRATIONS } from '../../src/schema/migrate.js'
import { EMPTY_DATABASES } from '../servers/empty-databases.js'

test.each(EMPTY_DATABASES)('an upgrade gives numbers that no row has to new rows, on %s', async (_, open) => {
  const { database, close } = await open()
  const provider = { getMigrations: async () => Promise.resolve(MIGRATIONS) }
  const earlier = await new Migrator({ db: database.sql, provider }).migrateTo('0057-long-summary-values')
  expect(earlier.error).toBeUndefined()
  const insertRepository = async (name: string): Promise<unknown> => {
    const { rows } = await sql<{ id: number }>`
      insert into inventory.repositories (registry, name, first_seen_at, last_seen_at)
      values ('registry.example', ${name}, now(), now()) returning id
    `.execute(database.sql)
    return rows[0]?.id
  }
  await insertRepository('a')
  await insertRepository('b')
  await sql`select setval('inventory.repositories_id_seq', 2147483647)`.execute(database.sql)
  await sql`select setval('pulls.totals_number_seq', 2147483647)`.execute(database.sql)
  await migrate(database.sql)
  expect(await insertRepository('c')).toBe(3)
  const { rows } = await sql`
    insert into pulls.totals (registry, repository, invocations, pulls) values ('registry.example', 'a', 1, 1) returning number
  `.execute(database.sql)
  expect(rows).toEqual([{ number: 1 }])
  await close()
})

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { Migrator, sql } from 'kysely'
import { migrate, MIGRATIONS } from '../../src/schema/migrate.js'
import { replaceInRepositories } from '../../src/counters/unresolved-in-repositories.js'
import { EMPTY_DATABASES, type OpenedDatabase } from '../servers/empty-databases.js'

describe.each(EMPTY_DATABASES)('migration 0059, on %s', (_, open) => {
  let opened: OpenedDatabase
  beforeEach(async () => {
    opened = await open()
    const provider = { getMigrations: async () => Promise.resolve(MIGRATIONS) }
    const { error } = await new Migrator({ db: opened.database.sql, provider }).migrateTo('0057-long-summary-values')
    expect(error).toBeUndefined()
  })
  afterEach(async () => opened.close())

  const insertNames = async (): Promise<void> => {
    await sql`
      insert into repositories (registry, name, first_at, first_event, if_first, if_known)
      select 'r', 'app' || n, '2026-11-18', gen_random_uuid(),
        jsonb_build_array(jsonb_build_object('event', 'e', 'member', '?user' || n % 3)), '[]'
      from generate_series(1, 3000) n
    `.execute(opened.database.sql)
  }

  test('finds names that an earlier version stored', async () => {
    await insertNames()
    await migrate(opened.database.sql)
    const changed = await opened.database.transaction(async (tx) => replaceInRepositories(tx, 'user1', '17'))
    expect(changed).toHaveLength(1_000)
    expect(changed[0]?.ifFirst).toEqual([{ event: 'e', member: '17' }])
  })

  test('keeps names out of the statistics', async () => {
    await migrate(opened.database.sql)
    await insertNames()
    await sql`analyze repositories`.execute(opened.database.sql)
    const { rows } = await sql<{ column: string }>`
      select tablename || '.' || attname as column from pg_stats where most_common_vals::text like '%user1%'
    `.execute(opened.database.sql)
    expect(rows).toEqual([])
  })
})

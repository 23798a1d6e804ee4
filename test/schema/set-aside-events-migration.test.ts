import { expect, test } from '@jest/globals'
import { Migrator, sql } from 'kysely'
import { migrate, MIGRATIONS } from '../../src/schema/migrate.js'
import { EMPTY_DATABASES } from '../servers/empty-databases.js'

test.each(EMPTY_DATABASES)('an upgrade adds a table of repositories with set-aside events, on %s', async (_, open) => {
  const { database, close } = await open()
  const provider = { getMigrations: async () => Promise.resolve(MIGRATIONS) }
  const earlier = await new Migrator({ db: database.sql, provider }).migrateTo('0060-undecided-requests')
  expect(earlier.error).toBeUndefined()
  await migrate(database.sql)
  const { rows } = await sql`
    select column_name as name, data_type as type, is_nullable as nullable, collation_name as collation
    from information_schema.columns where table_schema = 'inventory' and table_name = 'set_aside_events' order by ordinal_position
  `.execute(database.sql)
  const column = (name: string, type: string, nullable = 'NO', collation: string | null = null): object => ({
    ...{ name, type, nullable, collation },
  })
  expect(rows).toEqual([
    column('registry', 'text', 'NO', 'C'),
    column('name', 'text', 'NO', 'C'),
    column('arrived_at', 'timestamp with time zone'),
    column('changed_at', 'timestamp with time zone', 'YES'),
    column('reason', 'text'),
  ])
  const insert = sql`insert into inventory.set_aside_events values ('registry.example', 'a', now(), null, 'bad_tag')`
  await insert.execute(database.sql)
  await expect(insert.execute(database.sql)).rejects.toThrow(/duplicate key/)
  await close()
})

import { expect, test } from '@jest/globals'
import { Migrator, sql } from 'kysely'
import { migrate, MIGRATIONS } from '../../src/schema/migrate.js'
import { EMPTY_DATABASES } from '../servers/empty-databases.js'

test.each(EMPTY_DATABASES)('excerpts of earlier versions are emptied, their reasons stay, on %s', async (_, open) => {
  const { database, close } = await open()
  const provider = { getMigrations: async () => Promise.resolve(MIGRATIONS) }
  const earlier = await new Migrator({ db: database.sql, provider }).migrateTo('0024-narrow-writes')
  expect(earlier.error).toBeUndefined()
  await sql`
    insert into rejected_events (id, reason, detail, excerpt)
    values ('00000000-0000-0000-0000-000000000001', 'bad_timestamp', 'd', '{"timestamp":"203.0.113.9"}')
  `.execute(database.sql)
  await migrate(database.sql)
  const { rows } = await sql`select reason, detail, excerpt from rejected_events`.execute(database.sql)
  expect(rows).toEqual([{ reason: 'bad_timestamp', detail: 'd', excerpt: '{}' }])
  await close()
})

import { expect, test } from '@jest/globals'
import { Migrator, sql } from 'kysely'
import { migrate, MIGRATIONS } from '../../src/schema/migrate.js'
import { EMPTY_DATABASES } from '../servers/empty-databases.js'

const CASES = EMPTY_DATABASES.flatMap(([on, open]) => [
  { on, open, events: 1, isKept: true },
  { on, open, events: 0, isKept: null },
])

test.each(CASES)('unmarked ids count until the day of an upgrade, on $on with $events events', async (one) => {
  const { database, close } = await one.open()
  const provider = { getMigrations: async () => Promise.resolve(MIGRATIONS) }
  const earlier = await new Migrator({ db: database.sql, provider }).migrateTo('0041-stated-contents')
  expect(earlier.error).toBeUndefined()
  await sql`insert into event_ids (id) select gen_random_uuid() from generate_series(1, ${one.events}::int)`.execute(
    database.sql,
  )
  await migrate(database.sql)
  const { rows } = await sql`select unmarked_until = current_date as is_kept from event_id_scope`.execute(database.sql)
  expect(rows).toEqual([{ is_kept: one.isKept }])
  await close()
})

import { expect, test } from '@jest/globals'
import { Migrator, sql } from 'kysely'
import { readMark } from '../../src/storage/sql/erasure-marks.js'
import { migrate, MIGRATIONS } from '../../src/schema/migrate.js'
import { EMPTY_DATABASES } from '../servers/empty-databases.js'

test.each(EMPTY_DATABASES)('an upgrade alone marks no dump as one with erased rows, on %s', async (_, open) => {
  const { database, close } = await open()
  const provider = { getMigrations: async () => Promise.resolve(MIGRATIONS) }
  const earlier = await new Migrator({ db: database.sql, provider }).migrateTo('0031-clean-excerpts')
  expect(earlier.error).toBeUndefined()
  await sql`insert into event_ids (id) values ('00000000-0000-0000-0000-000000000001')`.execute(database.sql)
  await migrate(database.sql)
  expect(await readMark(database.sql, 'dumps')).toBeUndefined()
  expect(await readMark(database.sql, 'log')).toBeDefined()
  await close()
})

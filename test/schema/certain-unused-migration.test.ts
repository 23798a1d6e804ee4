import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { Migrator, sql } from 'kysely'
import { migrate, MIGRATIONS } from '../../src/schema/migrate.js'
import { EMPTY_DATABASES, type OpenedDatabase } from '../servers/empty-databases.js'

describe.each(EMPTY_DATABASES)('since when the kind of every use is known, on %s', (_, open) => {
  let opened: OpenedDatabase
  beforeEach(async () => {
    opened = await open()
  })
  afterEach(async () => opened.close())

  const migrateTo = async (name: keyof typeof MIGRATIONS): Promise<void> => {
    const provider = { getMigrations: async () => Promise.resolve(MIGRATIONS) }
    expect((await new Migrator({ db: opened.database.sql, provider }).migrateTo(name)).error).toBeUndefined()
  }
  /** As a fold stores a pull, before 0018. */
  const addDay = async (): Promise<void> => {
    await sql`
      insert into pulls.days values (
        '2026-01-10', 'registry.example', 'team/app', '1', 'sha256:a5', 'linux/amd64', null, null, null, 'containerd', null,
        'runtime', null, null, null, false, 'registry', 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, '', '', ''
      )
    `.execute(opened.database.sql)
  }
  const addUse = async (): Promise<void> => {
    await sql`
      insert into pulls.last_uses values ('registry.example', 'team/app', '1', 'runtime', '2026-01-10T10:00:00Z', null)
    `.execute(opened.database.sql)
  }
  /** Whether it is the beginning, or the time of migration 0018. */
  const knownSince = async (): Promise<unknown> => {
    const { rows } = await sql<{ since: string }>`
      select case when from_at = '-infinity' then 'the beginning' when from_at = m.timestamp::timestamptz then '0018'
        else from_at::text end as since
      from pulls.kinds_known, kysely_migration m where m.name = '0018-uses'
    `.execute(opened.database.sql)
    return rows[0]?.since
  }

  test('the beginning, in a new installation', async () => {
    await migrate(opened.database.sql)
    expect(await knownSince()).toBe('the beginning')
  })

  test('the beginning, in one that began with 0018 and has uses since', async () => {
    await migrateTo('0018-uses')
    await addUse()
    await migrate(opened.database.sql)
    expect(await knownSince()).toBe('the beginning')
  })

  test('the beginning, in one that is older and never had a pull', async () => {
    await migrateTo('0017-state-times')
    await migrate(opened.database.sql)
    expect(await knownSince()).toBe('the beginning')
  })

  test.each([['at once'], ['with 0018 before']])('migration 0018, in one that had pulls before, %s', async (steps) => {
    await migrateTo('0017-state-times')
    await addDay()
    if (steps !== 'at once') await migrateTo('0018-uses')
    await migrate(opened.database.sql)
    expect(await knownSince()).toBe('0018')
  })

  test('migration 0018, in an older one that was restored from a dump', async () => {
    await migrateTo('0018-uses')
    await addUse()
    await sql`update kysely_migration set timestamp = '2026-01-01T00:00:00.000Z' where name < '0018'`.execute(
      opened.database.sql,
    )
    await migrate(opened.database.sql)
    expect(await knownSince()).toBe('0018')
  })
})

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { Migrator, sql } from 'kysely'
import { migrate, MIGRATIONS } from '../../src/schema/migrate.js'
import { EMPTY_DATABASES, type OpenedDatabase } from '../servers/empty-databases.js'

describe.each(EMPTY_DATABASES)('names of actors that were stored with each change, on %s', (_, open) => {
  let opened: OpenedDatabase
  beforeEach(async () => {
    opened = await open()
  })
  afterEach(async () => opened.close())

  test('belong to the same changes after the upgrade, under another number each day', async () => {
    const db = opened.database.sql
    const provider = { getMigrations: async () => Promise.resolve(MIGRATIONS) }
    await new Migrator({ db, provider }).migrateTo('0024-narrow-writes')
    await sql`
      insert into inventory.changes (event_id, repository_id, at, action, actor)
      select gen_random_uuid(), 1, at::timestamptz, 'delete', actor
      from (values ('2026-11-01T00:00:00Z', 'alice'), ('2026-11-01T23:59:59Z', 'alice'), ('2026-11-02T00:00:00Z', 'alice'),
        ('2026-11-02T00:00:01Z', 'bob'), ('2026-11-02T00:00:02Z', null)) as told (at, actor)
    `.execute(db)
    await sql`
      insert into inventory.renames (event_id, registry, what, from_name, to_name, at, actor)
      values (gen_random_uuid(), 'registry.example', 'repository', 'a', 'b', '2026-11-02T12:00:00Z', 'alice')
    `.execute(db)
    await migrate(db)
    const { rows } = await sql<{ day: string; name: string | null; id: string | null }>`
      select (c.at at time zone 'UTC')::date::text as day, name, id
      from (select at, actor_id from inventory.changes union all select at, actor_id from inventory.renames) c
      left join inventory.actors a on a.id = c.actor_id and a.day = (c.at at time zone 'UTC')::date
      order by c.at
    `.execute(db)
    expect(rows.map(({ day, name }) => `${day} ${name}`)).toEqual([
      '2026-11-01 alice',
      '2026-11-01 alice',
      '2026-11-02 alice',
      '2026-11-02 bob',
      '2026-11-02 null',
      '2026-11-02 alice',
    ])
    const ids = rows.map(({ id }) => id)
    expect([ids[0], ids[2]]).toEqual([ids[1], ids[5]])
    expect(ids[0]).not.toBe(ids[2])
  })
})

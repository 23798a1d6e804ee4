import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { Migrator, sql } from 'kysely'
import { migrate, MIGRATIONS } from '../../src/schema/migrate.js'
import { EMPTY_DATABASES, type OpenedDatabase } from '../servers/empty-databases.js'

/** Days since 1970 of a day of January. */
const january = (day: number): number => Date.UTC(2026, 0, day) / 86_400_000

describe.each(EMPTY_DATABASES)('migration 0054, on %s', (_, open) => {
  let opened: OpenedDatabase
  beforeEach(async () => {
    opened = await open()
  })
  afterEach(async () => opened.close())

  test('finds the days on which something was heard of a registry in what is recorded', async () => {
    const { sql: db } = opened.database
    const provider = { getMigrations: async () => Promise.resolve(MIGRATIONS) }
    expect((await new Migrator({ db, provider }).migrateTo('0053-silences')).error).toBeUndefined()
    await sql`
      insert into inventory.repositories (registry, name, first_seen_at, last_seen_at)
      select registry, 'team/app', '2026-01-01T00:00:00Z', '2026-01-20T00:00:00Z'
      from unnest(array['pulled.example', 'pushed.example', 'never.example']) as registry
    `.execute(db)
    await sql`
      insert into inventory.changes (event_id, repository_id, at, action, tag)
      select gen_random_uuid(), id, at::timestamptz, 'push', '1'
      from inventory.repositories, unnest(array['2026-01-02T00:00:00Z', '2026-01-03T23:59:59Z', '2026-01-09T12:00:00Z']) as at
      where registry = 'pushed.example'
    `.execute(db)
    await sql`
      insert into pulls.days
      select day::date, 'pulled.example', repository, '1', 'sha256:a5', 'linux/amd64', null, null, null, 'containerd', null,
        'runtime', null, null, null, false, 'notification', 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, '', '', ''
      from unnest(array['2026-01-04', '2026-01-05', '2026-01-07']) as day, unnest(array['team/app', 'team/other']) as repository
    `.execute(db)
    await sql`
      insert into pulls.outcomes (id, what, at, registry, repository, origin, endpoint, source, client, kind)
      values ('1', 'invocation', '2026-01-08T10:00:00Z', 'pulled.example', 'team/app', 'o', 'e', 'notification', 'containerd', 'runtime')
    `.execute(db)
    await sql`
      insert into receptions (registry, last_event_at, last_received_at, events)
      values ('pushed.example', '2026-01-12T10:00:00Z', '2026-01-12T10:00:00Z', 5)
    `.execute(db)

    await migrate(db)
    const { rows } = await sql`
      select registry, heard_on::text as heard, pulls_on::text as pulls, last_pull_at::date::text as "lastPull", events::int
      from receptions order by registry
    `.execute(db)
    expect(rows).toEqual([
      {
        registry: 'pulled.example',
        heard: `{[${january(4)},${january(6)}),[${january(7)},${january(9)})}`,
        pulls: `{[${january(4)},${january(6)}),[${january(7)},${january(9)})}`,
        lastPull: '2026-01-08',
        events: 0,
      },
      {
        registry: 'pushed.example',
        heard: `{[${january(2)},${january(4)}),[${january(9)},${january(10)}),[${january(12)},${january(13)})}`,
        pulls: '{}',
        lastPull: null,
        events: 5,
      },
    ])
  })
})

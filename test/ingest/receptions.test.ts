import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { expireReceptions, mergeReceptions, readReceptions } from '../../src/ingest/receptions-table.js'
import { createReceptions, type Receptions } from '../../src/ingest/receptions.js'
import type { Action } from '../../src/events/registry-event.js'
import type { Database } from '../../src/storage/sql/database.js'
import { anEvent } from '../servers/events.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

describe.each(STORE_PAIRS)('what was heard of registries, on %s', (_, open) => {
  let stores: TestStores
  let clock: string
  let failing: boolean
  let receptions: Receptions
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => {
    await stores.clear()
    clock = '2026-11-21T12:00:00Z'
    failing = false
    const database: Database = {
      ...stores.database,
      // As when the connection breaks at the commit: the work was done, and nothing of it holds.
      transaction: async (work) =>
        stores.database.transaction(async (tx) => {
          const result = await work(tx)
          if (failing) throw new Error('Connection terminated')
          return result
        }),
    }
    receptions = createReceptions(database, () => new Date(clock))
  })

  const written = async (): Promise<unknown> => readReceptions(stores.database, 10)
  const refused = async (): Promise<unknown> =>
    (
      await sql`select name, day::text, value::int from tallies where starts_with(name, 'refused:') order by name, day`.execute(
        stores.database.sql,
      )
    ).rows

  test('is written down: the latest times, and how many events', async () => {
    receptions.heard([
      anEvent({ registry: 'one', at: '2026-11-21T11:00:00Z' }),
      anEvent({ registry: 'one', at: '2026-11-21T10:00:00Z' }),
    ])
    receptions.refused(401)
    await receptions.flush()
    clock = '2026-11-21T12:00:10Z'
    receptions.heard([anEvent({ registry: 'two', at: '2026-11-21T12:00:00Z' })])
    receptions.heard([anEvent({ registry: 'one', at: '2026-11-21T09:00:00Z' })])
    receptions.refused(401)
    receptions.refused(413)
    await receptions.flush()
    const lastReceivedAt = new Date(clock)
    expect(await written()).toEqual([
      { registry: 'one', lastEventAt: new Date('2026-11-21T11:00:00Z'), lastReceivedAt, events: 3 },
      { registry: 'two', lastEventAt: new Date('2026-11-21T12:00:00Z'), lastReceivedAt, events: 1 },
    ])
    expect(await refused()).toEqual([
      { name: 'refused:401', day: '2026-11-21', value: 2 },
      { name: 'refused:413', day: '2026-11-21', value: 1 },
    ])
  })

  const days = async (): Promise<unknown[]> =>
    (
      await sql<{ registry: string; heard: string; pulls: string; late: Date | null }>`
        select registry, heard_on::text as heard, pulls_on::text as pulls, late_at as late from receptions order by registry
      `.execute(stores.database.sql)
    ).rows.map(({ registry, heard, pulls, late }) => [registry, heard, pulls, late?.toISOString()])
  const hear = async (registry: string, at: string, ...more: [time: string, action?: Action][]): Promise<void> => {
    clock = at
    receptions.heard([[at] as const, ...more].map(([time, action = 'push']) => anEvent({ registry, at: time, action })))
    await receptions.flush()
  }
  /** Days since 1970 of a day of December. */
  const december = (day: number): number => Date.UTC(2026, 11, day) / 86_400_000

  test('has the days on which events, and pulls, happened that were received, and when one was late', async () => {
    await hear('one', '2026-12-01T00:00:00Z', ['2026-12-01T00:00:00Z', 'pull'])
    await hear('one', '2026-12-02T23:59:59.999Z')
    await hear('one', '2026-12-10T12:00:00Z', ['2026-12-10T00:00:00Z'])
    const heard = `{[${december(1)},${december(3)}),[${december(10)},${december(11)})}`
    const pulls = `{[${december(1)},${december(2)})}`
    expect(await days()).toEqual([['one', heard, pulls, undefined]])
    // A queue of the registry.
    await hear('one', '2026-12-12T12:00:00Z', ['2026-12-11T00:00:00Z', 'pull'])
    const later = `{[${december(1)},${december(3)}),[${december(10)},${december(13)})}`
    const laterPulls = `{[${december(1)},${december(2)}),[${december(11)},${december(12)})}`
    expect(await days()).toEqual([['one', later, laterPulls, '2026-12-12T12:00:00.000Z']])

    await hear('two', '2026-12-05T12:00:00Z')
    await hear('three', '2026-12-04T12:00:00Z', ['2026-12-04T12:00:00Z', 'pull'])
    await mergeReceptions(
      stores.database,
      new Map([
        ['one', 'four'],
        ['two', 'four'],
      ]),
    )
    const merged = `{[${december(1)},${december(3)}),[${december(5)},${december(6)}),[${december(10)},${december(13)})}`
    expect(await days()).toEqual([
      ['four', merged, laterPulls, '2026-12-12T12:00:00.000Z'],
      ['three', `{[${december(4)},${december(5)})}`, `{[${december(4)},${december(5)})}`, undefined],
    ])
    await mergeReceptions(stores.database, new Map([['three', 'four']]))
    expect(await days()).toEqual([
      [
        'four',
        `{[${december(1)},${december(3)}),[${december(4)},${december(6)}),[${december(10)},${december(13)})}`,
        `{[${december(1)},${december(2)}),[${december(4)},${december(5)}),[${december(11)},${december(12)})}`,
        '2026-12-12T12:00:00.000Z',
      ],
    ])
  })

  test('has no day that is to come, and none of more than ten years ago, whatever a sender says', async () => {
    const years = Array.from({ length: 5_000 }, (_, i): [string] => [new Date(Date.UTC(1990, 0, 2 * i)).toISOString()])
    await hear('one', '2026-12-02T12:00:00Z', ...years, ['2026-12-03T11:00:00Z'])
    const [[, heard] = []] = (await days()) as [string, string][]
    const ranges = heard?.split('),[') ?? []
    expect([ranges.length < 1_830, ranges.at(-1)]).toEqual([true, `${december(2)},${december(3)})}`])
    // The clock was a month ahead.
    await hear('two', '2027-01-02T12:00:00Z')
    await hear('two', '2026-12-02T12:00:00Z')
    expect((await days())[1]).toEqual(['two', `{[${december(2)},${december(3)})}`, '{}', undefined])
  })

  test('is deleted after a year, and beyond a number, but not of a registry with repositories', async () => {
    const heard = async (count: number, daysAgo: number, name: string): Promise<unknown> =>
      sql`
        insert into receptions
        select ${name} || n, ${at(daysAgo)}::timestamptz, ${at(daysAgo)}::timestamptz, 1 from generate_series(1, ${count}::int) as n
      `.execute(stores.database.sql)
    const at = (daysAgo: number): string => new Date(Date.UTC(2026, 11, 1) - daysAgo * 86_400_000).toISOString()
    const kept = async (): Promise<Record<string, number>> => {
      const { rows } = await sql<{ name: string; count: number }>`
        select rtrim(registry, '0123456789') as name, count(*)::int as count from receptions group by 1
      `.execute(stores.database.sql)
      return Object.fromEntries(rows.map(({ name, count }) => [name, count]))
    }
    const expire = async (most: number): Promise<number> =>
      expireReceptions(stores.database, { days: 365, most }, new Date('2026-12-01T00:00:00Z'))
    for (const [name, daysAgo] of [
      ['used', 800],
      ['silent', 366],
      ['seldom', 364],
    ] as const)
      await heard(3, daysAgo, name)
    await sql`
      insert into inventory.repositories (registry, name, first_seen_at, last_seen_at)
      select 'used' || n, 'team/app', now(), now() from generate_series(1, 3) n
    `.execute(stores.database.sql)
    expect(await expire(10_000)).toBe(3)
    expect(await kept()).toEqual({ used: 3, seldom: 3 })
    await heard(25_000, 2, 'forged')
    await heard(10, 1, 'registry')
    expect(await expire(100)).toBe(24_913)
    expect(await kept()).toEqual({ used: 3, forged: 90, registry: 10 })
    expect(await expire(100)).toBe(0)
  })

  test('is kept when it cannot be written, together with what is heard meanwhile, and written once', async () => {
    receptions.heard([anEvent({ registry: 'one', at: '2026-11-21T11:00:00Z' })])
    receptions.refused(401)
    failing = true
    const attempt = receptions.flush()
    receptions.heard([
      anEvent({ registry: 'one', at: '2026-11-21T10:00:00Z' }),
      anEvent({ registry: 'two', at: '2026-11-21T10:00:00Z' }),
    ])
    receptions.refused(401)
    await expect(attempt).rejects.toThrow('Connection terminated')
    expect([await written(), await refused()]).toEqual([[], []])

    failing = false
    await receptions.flush()
    await receptions.flush()
    expect(await written()).toMatchObject([
      { registry: 'one', lastEventAt: new Date('2026-11-21T11:00:00Z'), events: 2 },
      { registry: 'two', events: 1 },
    ])
    expect(await refused()).toEqual([{ name: 'refused:401', day: '2026-11-21', value: 2 }])
  })

  test('of more registries than can be is added up under one name', async () => {
    receptions.heard(Array.from({ length: 1_500 }, (_, i) => anEvent({ registry: `registry-${i}` })))
    await receptions.flush()
    const { rows } = await sql`select count(*)::int as lines, sum(events)::int as events from receptions`.execute(
      stores.database.sql,
    )
    expect(rows).toEqual([{ lines: 1_001, events: 1_500 }])
    const other = await sql`select events::int from receptions where registry = 'other'`.execute(stores.database.sql)
    expect(other.rows).toEqual([{ events: 500 }])
  })
})

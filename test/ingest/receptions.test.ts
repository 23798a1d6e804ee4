import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { createReceptions, mergeReceptions, readReceptions, type Receptions } from '../../src/ingest/receptions.js'
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

  const silences = async (): Promise<unknown[]> =>
    (
      await sql<{ registry: string; from: Date | null; to: Date | null }>`
        select registry, silent_from as "from", silent_to as "to" from receptions order by registry
      `.execute(stores.database.sql)
    ).rows.map(({ registry, from, to }) => [registry, from?.toISOString(), to?.toISOString()])
  const hear = async (registry: string, at: string, ...more: string[]): Promise<void> => {
    clock = at
    receptions.heard([at, ...more].map((time) => anEvent({ registry, at: time })))
    await receptions.flush()
  }

  test('has the newest time of more than seven days without an event, unless the events were late', async () => {
    await hear('one', '2026-11-01T12:00:00Z')
    await hear('one', '2026-11-08T11:00:00Z')
    expect(await silences()).toEqual([['one', undefined, undefined]])
    // A queue of the registry.
    await hear('one', '2026-11-28T12:00:00Z', '2026-11-08T12:00:00Z')
    expect(await silences()).toEqual([['one', undefined, undefined]])
    await hear('one', '2026-12-20T12:00:00Z')
    const silence = ['2026-11-28T12:00:00.000Z', '2026-12-20T12:00:00.000Z']
    expect(await silences()).toEqual([['one', ...silence]])
    await hear('one', '2026-12-21T12:00:00Z')
    await hear('two', '2026-12-21T12:00:00Z')
    expect(await silences()).toEqual([
      ['one', ...silence],
      ['two', undefined, undefined],
    ])
    await mergeReceptions(stores.database, new Map([['one', 'two']]))
    expect(await silences()).toEqual([['two', ...silence]])
    await mergeReceptions(stores.database, new Map([['two', 'three']]))
    expect(await silences()).toEqual([['three', ...silence]])
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

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import { isoTime, microsOf } from '../../../src/events/calendar.js'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import type { Ingest } from '../../../src/ingest/ingest.js'
import { createStateTimes } from '../../../src/inventory/record/state-times.js'
import { NO_LOSSES } from '../../../src/storage/sql/losses.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { inventoryOf } from '../../servers/inventory.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'
import { digestNamed } from '../../servers/stub-registry.js'
import { runs } from '../../servers/runs.js'

const START = Date.parse('2026-11-18T10:00:00Z')
const HOUR = 3_600
const IMAGE = 'application/vnd.oci.image.manifest.v1+json'

describe.each(STORE_PAIRS)('a registry whose clock is ahead, on %s', (_, open) => {
  let stores: TestStores
  /** Seconds since START, by the clock of the first service and that of a second one beside it. */
  let seconds: number
  let skew: number
  let one: Ingest
  let other: Ingest
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => {
    await stores.clear()
    seconds = 0
    skew = 0
    one = createCounting(stores, () => new Date(START + seconds * 1000))
    other = createCounting(stores, () => new Date(START + (seconds + skew) * 1000))
  })

  const at = (offset: number): string => isoTime(microsOf(new Date(START + offset * 1000)))
  const push = (id: number, offset: number, digest = 'a1', instance = 'one'): RegistryEvent =>
    anEvent({
      id,
      action: 'push',
      at: at(offset),
      ...(instance !== '' && { instance }),
      object: 'manifest',
      mediaType: IMAGE,
      digest: digestNamed(digest),
      tag: '1.0',
    })
  const remove = (id: number, offset: number, instance = 'one'): RegistryEvent =>
    anEvent({ id, action: 'delete', at: at(offset), ...(instance !== '' && { instance }), tag: '1.0' })
  const liveTags = async (): Promise<unknown[]> =>
    (await sql<{ digest: string }>`select digest from inventory.live_tags`.execute(stores.database.sql)).rows.map(
      ({ digest }) => digest.slice(-2),
    )
  const inTheFuture = async (): Promise<unknown> => {
    const now = new Date(START + seconds * 1000 + 1).toISOString()
    const { rows } = await sql<{ count: number }>`
      select count(*)::int as count from (
        select greatest(pushed_at, pulled_at, deleted_at, first_seen_at, pointed_at) as at from inventory.tags
        union all select greatest(seen_at, deleted_at, first_seen_at) from inventory.repository_manifests
        union all select greatest(first_seen_at, last_seen_at, deleted_at) from inventory.repositories
        union all select at from inventory.changes
        union all select at from inventory.tag_lookups
      ) times where at > ${now}
    `.execute(stores.database.sql)
    return rows[0]?.count
  }

  test('its push does not win over a delete that arrives later, even if that one was queued for a while', async () => {
    await one.ingest([push(1, 20 * HOUR)])
    expect(await liveTags()).toEqual(['a1'])
    expect(await inTheFuture()).toBe(0)
    seconds = 1
    await one.ingest([remove(2, -3)])
    expect(await liveTags()).toEqual([])
    seconds = HOUR
    await one.ingest([push(3, HOUR - 1, 'a2')])
    expect(await liveTags()).toEqual(['a2'])
  })

  test.each([2, 20 * HOUR])(
    'a repeat of what was %i s ahead changes nothing, whenever and wherever it arrives',
    async (lead) => {
      const events = [push(1, lead), remove(2, 1)]
      for (const event of events) {
        seconds++
        await one.ingest([event])
      }
      const before = await inventoryOf(stores.database)
      expect(await liveTags()).toEqual([])
      for (seconds of [3, HOUR, 30 * HOUR]) {
        for (const event of events) {
          expect(await one.ingest([event])).toEqual(['repeated'])
          expect(await other.ingest([event])).toEqual(['repeated'])
        }
        expect(await inventoryOf(stores.database)).toEqual(before)
      }
    },
  )

  test.each(['one', ''])('events of one envelope keep the order of their own times (process: %s)', async (instance) => {
    const events = [
      push(1, 20 * HOUR, 'a1', instance),
      remove(2, 20 * HOUR + 1, instance),
      push(3, 20 * HOUR + 2, 'a2', instance),
    ]
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
    ]) {
      await stores.clear()
      const { ingest } = createCounting(stores, () => new Date(START))
      await ingest(order.flatMap((i) => events[i] ?? []))
      expect(await liveTags()).toEqual(['a2'])
    }
  })

  test.each(['one', ''])('the clock is set right within one envelope (process: %s)', async (instance) => {
    await one.ingest([push(1, 20 * HOUR, 'a1', instance), remove(2, -3, instance)])
    expect(await liveTags()).toEqual([])
  })

  test('an event from before the clock was ahead keeps its time when it is repeated', async () => {
    await one.ingest([remove(1, -1)])
    seconds = 1
    await one.ingest([push(2, 20 * HOUR)])
    seconds = 2
    await one.ingest([remove(1, -1)])
    expect(await liveTags()).toEqual(['a1'])
  })

  test('another process of the registry is judged by its own clock: its late event is not raised', async () => {
    await one.ingest([push(1, 20 * HOUR)])
    seconds = 1
    await one.ingest([remove(2, -60, 'two')])
    expect(await liveTags()).toEqual(['a1'])
  })

  test('services whose own clocks differ keep the order of arrival', async () => {
    skew = -2
    await one.ingest([push(1, 20 * HOUR)])
    seconds = 1
    await other.ingest([remove(2, 20 * HOUR + 1)])
    expect(await liveTags()).toEqual([])
    seconds = 1.5
    await one.ingest([push(3, 1.4, 'a2')])
    expect(await liveTags()).toEqual(['a2'])
  })

  test('a lead that NTP leaves costs no row, and keeps the order when it grows beyond', async () => {
    for (const id of [1, 2, 3]) await one.ingest([push(id, 0.02 * id)])
    await one.ingest([push(4, 0.4, 'a2')])
    const { rows } = await sql`select from event_times`.execute(stores.database.sql)
    expect(rows).toHaveLength(0)
    seconds = 0.05
    await one.ingest([remove(5, 0.6)])
    expect(await liveTags()).toEqual([])
  })

  test('a wrong clock costs only events of its own process', async () => {
    await one.ingest([push(1, -1, 'a1', 'two')])
    const [, other] = await one.ingest([push(2, 20 * HOUR), push(3, -0.5, 'a2', 'two')])
    expect(other).toBe('recorded')
    const { rows } = await sql<{ id: string }>`select id::text from event_times`.execute(stores.database.sql)
    expect(rows.map(({ id }) => id)).toEqual([push(2, 0).id])
  })

  test('a restarted service knows the clock', async () => {
    await one.ingest([push(1, 20 * HOUR)])
    await createCounting(stores, () => new Date(START + 1000)).ingest([remove(2, -3)])
    expect(await liveTags()).toEqual([])
  })

  test('a process of the same name in another registry does not change the order of events', async () => {
    await one.ingest([remove(1, -1)])
    await one.ingest([{ ...push(2, 20 * HOUR), registry: 'other.example' }])
    seconds = 1
    await one.ingest([push(3, -3)])
    await other.ingest([push(4, -2)])
    const { rows } = await sql`
      select registry, digest from inventory.live_tags where registry = 'registry.example'
    `.execute(stores.database.sql)
    expect(rows).toEqual([])
  })

  test('a clock that an earlier version stored without the registry is known', async () => {
    const events = [push(1, 20 * HOUR), remove(2, 20 * HOUR + 1)]
    await one.ingest(events)
    await sql`update event_clocks set name = 'one'`.execute(stores.database.sql)
    const { ingest } = createCounting(stores, () => new Date(START + seconds * 1000))
    for (seconds of [1, 30 * HOUR]) expect(await ingest(events)).toEqual(['repeated', 'repeated'])
    expect(await liveTags()).toEqual([])
    seconds = 1
    await ingest([push(3, -3, 'a2')])
    expect(await liveTags()).toEqual(['a2'])
  })

  test('the counters keep the own time of the event', async () => {
    await one.ingest([push(1, 20 * HOUR)])
    const { rows } = await sql<{ day: string }>`
      select distinct day::text from tallies where name = 'i_container_registry_push'
    `.execute(stores.database.sql)
    expect(rows).toEqual([{ day: '2026-11-19' }])
  })

  /** Each event by the clock of its process, which jumps ahead and back; twenty seconds pass between two arrivals. */
  const history = fc.array(
    fc.record({
      lead: fc.constantFrom(0, 0, 0.5, 2, 20 * HOUR, 20 * HOUR - 10),
      what: fc.constantFrom('push a1', 'push a2', 'delete'),
      service: fc.boolean(),
    }),
    { minLength: 1, maxLength: 8 },
  )

  test('the last to arrive wins, and repeats change nothing', async () => {
    const repeats = fc.array(fc.record({ after: fc.nat(30), which: fc.nat(30), service: fc.boolean() }), {
      maxLength: 8,
    })
    await fc.assert(
      fc.asyncProperty(history, repeats, async (wanted, again) => {
        await stores.clear()
        seconds = 0
        skew = 0
        const services = [0, 1].map(() => createCounting(stores, () => new Date(START + seconds * 1000)))
        const events = wanted.map(({ lead, what }, i) =>
          what === 'delete' ? remove(i + 1, 20 * i + lead) : push(i + 1, 20 * i + lead, what.slice(-2)),
        )
        const send = async (event: RegistryEvent, service: boolean): Promise<unknown> =>
          services[service ? 1 : 0]?.ingest([event])
        for (const [i, event] of events.entries()) {
          seconds = 20 * i + 0.1
          await send(event, wanted[i]?.service ?? false)
          for (const { after, which, service } of again)
            if (after % events.length === i) await send(events[which % (i + 1)] ?? event, service)
        }
        seconds = 30 * HOUR
        for (const event of events) await send(event, true)
        const last = wanted.at(-1)?.what ?? ''
        expect(await liveTags()).toEqual(last === 'delete' ? [] : [last.slice(-2)])
      }),
      runs(15),
    )
  })
})

test('events that waited in the queue cost no more statements than others', async () => {
  let elapsed = 0
  let statements = 0
  const run = async (): Promise<never[]> => {
    statements++
    return Promise.resolve([])
  }
  const stateTimes = createStateTimes({ run, losses: NO_LOSSES } as never, () => elapsed)
  const arrive = async (seconds: number): Promise<unknown> => {
    const arrivedAt = microsOf(new Date(START + seconds * 1000))
    const event = anEvent({ id: seconds, action: 'push', at: isoTime(arrivedAt), instance: 'one', tag: '1.0' })
    return stateTimes([{ event, arrivedAt, isSetBack: false }])
  }
  for (const seconds of [60, 61, 90, 30]) await arrive(seconds)
  expect(statements).toBe(1)
  elapsed = 10_001
  await arrive(91)
  expect(statements).toBe(2)
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import { microsOf } from '../../src/events/calendar.js'
import { readEnvelope } from '../../src/sources/distribution/envelope.js'
import type { ItemOutcome } from '../../src/ingest/item.js'
import { createRegistries, type Registry } from '../../src/registries/registries.js'
import { createRegistryIdentity } from '../../src/registries/registry-identity.js'
import { fixedClock } from '../servers/clock.js'
import { createCounting } from '../servers/counting.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'
import { turnsOf } from '../servers/turns.js'

const NOW = microsOf(fixedClock())

const EVENT = {
  action: 'push',
  timestamp: '2026-11-18T10:00:00Z',
  target: { repository: 'team/app', tag: '1.0', digest: `sha256:${'a'.repeat(64)}` },
}
/** The id that earlier versions made of a value, here of the contents of EVENT. */
const hashed = (value: unknown): string =>
  createHash('sha256')
    .update(JSON.stringify(value))
    .digest('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5')
const UNSCOPED = hashed([null, EVENT.action, EVENT.timestamp, null, 'team/app', '1.0', EVENT.target.digest])
const GIVEN = '0190a8c5-1f2b-8c3d-9e4f-0123456789ab'
const UNREADABLE = { ...EVENT, action: 'unheard-of' }

describe.each(STORE_PAIRS)('an event without a UUID, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const deliver = async (
    named: string | undefined,
    { events = [EVENT] as object[], registries = [] as Registry[], database = stores.database } = {},
  ): Promise<ItemOutcome[]> => {
    const configured = createRegistries(() => registries)
    const identity = await createRegistryIdentity({ database, configured, setting: 'host', now: fixedClock })
    const reported = readEnvelope(Buffer.from(JSON.stringify({ events })), NOW)
    return createCounting({ ...stores, database }).ingest(await identity.resolve(reported, named))
  }

  test('counts for each registry that reports it, whoever reports it first', async () => {
    const events = [EVENT, UNREADABLE, { ...EVENT, id: 'by-hand' }]
    for (const registry of ['b.example', 'a.example']) {
      expect(await deliver(registry, { events })).toEqual(['recorded', 'unknown_action', 'recorded'])
      expect(await deliver(registry, { events })).toEqual(['repeated', 'repeated', 'repeated'])
    }
  })

  test('counts once if it was recorded under a name that is an alias now', async () => {
    const registries = [{ name: 'new.example', aliases: ['old.example'] }]
    expect(await deliver('old.example')).toEqual(['recorded'])
    for (const named of ['old.example', 'new.example'])
      expect(await deliver(named, { registries })).toEqual(['repeated'])
    expect(await deliver('other.example', { registries })).toEqual(['recorded'])
  })

  test('is looked up in portions of at most 5,000 ids, with all names of its registry', async () => {
    const events = Array.from({ length: 500 }, (__, i) => ({ ...EVENT, id: `by-hand-${i}` }))
    const aliases = ['old.example', ...Array.from({ length: 9 }, (__, i) => `older-${i}.example`)]
    const registries = [{ name: 'new.example', aliases }]
    const portions: number[] = []
    const run: typeof stores.database.run = async (statement, values) => {
      if (statement.name === 'recorded_earlier_ids') portions.push(String(values[0]).split(',').length)
      return stores.database.run(statement, values)
    }
    await deliver('old.example', { events: events.slice(-1) })
    const outcomes = await deliver('new.example', { events, registries, database: { ...stores.database, run } })
    expect(outcomes).toEqual([...events.slice(1).map(() => 'recorded'), 'repeated'])
    // 22 ids of each event, and 250 events at once.
    expect(portions).toEqual([5_000, 500, 5_000, 500])
  })

  test('of a large arrival is looked for in many turns, so that others are answered meanwhile', async () => {
    const count = 20_000
    const reported = readEnvelope(Buffer.from(JSON.stringify({ events: Array(count).fill(EVENT) })), NOW)
    const configured = createRegistries(() => [])
    const identity = await createRegistryIdentity({ ...stores, configured, setting: 'host', now: fixedClock })
    const madeIn = new Map<number, number>()
    let turn = 0
    const events = (await identity.resolve(reported, 'a.example')).map(({ earlierIds, ...event }) => ({
      ...event,
      earlierIds: () => {
        madeIn.set(turn, (madeIn.get(turn) ?? 0) + 1)
        return earlierIds?.() ?? { unmarked: [] }
      },
    }))
    const { result } = await turnsOf(
      async () => createCounting(stores).ingest(events),
      () => turn++,
    )
    expect(result).toHaveLength(count)
    expect(Math.max(...madeIn.values())).toBeLessThan(count / 2)
  })

  /** Records an id as an earlier version did, some days after the upgrade. */
  const record = async (id: string, after: number): Promise<void> => {
    const { sql: db } = stores.database
    await sql`delete from event_ids`.execute(db)
    await sql`update event_id_scope set unmarked_until = unscoped_until`.execute(db)
    await sql`insert into event_ids (id, seen_on) select ${id}::uuid, unmarked_until + ${after}::int from event_id_scope`.execute(
      db,
    )
  }

  test.each([
    ['without the registry', 'a.example', EVENT, UNSCOPED],
    ['with the registry', 'a.example', EVENT, hashed(['a.example', UNSCOPED])],
    ['with an alias', 'a.example', EVENT, hashed(['alias.example', UNSCOPED])],
    ['of a token without a name', undefined, EVENT, UNSCOPED],
    ['of an item that cannot be read', undefined, UNREADABLE, hashed(JSON.stringify(UNREADABLE))],
    ['that was given', 'a.example', { ...EVENT, id: GIVEN.toUpperCase() }, GIVEN],
  ])(
    'counts once if an earlier version recorded its id %s; an id of later may be given by any sender',
    async (__, named, event, id) => {
      const registries = [{ name: 'a.example', aliases: ['alias.example'] }]
      await record(id, 0)
      expect(await deliver(named, { events: [event], registries })).toEqual(['repeated'])
      await record(id, 1)
      const outcome = event === UNREADABLE ? 'unknown_action' : 'recorded'
      expect(await deliver(named, { events: [event], registries })).toEqual([outcome])
      expect(await deliver(named, { events: [event], registries })).toEqual(['repeated'])
    },
  )

  test('an event of a token without a name is another one than that of a registry', async () => {
    expect(await deliver(undefined)).toEqual(['recorded'])
    expect(await deliver('a.example')).toEqual(['recorded'])
  })

  test.each(['a.example', undefined])(
    'counts although another sender gave its id first (registry: %s)',
    async (named) => {
      const events = [EVENT, UNREADABLE]
      expect(await deliver(named, { events })).toEqual(['recorded', 'unknown_action'])
      const { rows } = await sql<{ id: string }>`select id::text from event_ids`.execute(stores.database.sql)
      await stores.clear()
      const given = rows.flatMap(({ id }) => [
        { ...EVENT, id },
        { ...UNREADABLE, id: id.toUpperCase() },
      ])
      await deliver('mallory.example', { events: given })
      expect(await deliver(named, { events })).toEqual(['recorded', 'unknown_action'])
    },
  )
})

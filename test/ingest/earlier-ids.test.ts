import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { microsOf } from '../../src/events/calendar.js'
import { readEnvelope } from '../../src/events/envelope.js'
import type { Outcome } from '../../src/ingest/ingest.js'
import { createRegistries, type Registry } from '../../src/inventory/registry/registries.js'
import { createRegistryIdentity } from '../../src/registries/registry-identity.js'
import { fixedClock } from '../servers/clock.js'
import { createCounting } from '../servers/counting.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const EVENT = {
  action: 'push',
  timestamp: '2026-11-18T10:00:00Z',
  target: { repository: 'team/app', tag: '1.0', digest: `sha256:${'a'.repeat(64)}` },
}
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
  ): Promise<Outcome[]> => {
    const configured = createRegistries(() => registries)
    const identity = await createRegistryIdentity({ database, configured, setting: 'host', now: fixedClock })
    const reported = readEnvelope(Buffer.from(JSON.stringify({ events })), microsOf(fixedClock()))
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
    const events = Array.from({ length: 2_500 }, (__, i) => ({ ...EVENT, id: `by-hand-${i}` }))
    const registries = [{ name: 'new.example', aliases: ['old.example', 'older.example'] }]
    const portions: number[] = []
    const run: typeof stores.database.run = async (statement, values) => {
      if (statement.name === 'recorded_earlier_ids') portions.push(String(values[0]).split(',').length)
      return stores.database.run(statement, values)
    }
    await deliver('old.example', { events: events.slice(-1) })
    const outcomes = await deliver('new.example', { events, registries, database: { ...stores.database, run } })
    expect(outcomes).toEqual([...events.slice(1).map(() => 'recorded'), 'repeated'])
    expect(portions).toEqual([5_000, 2_500])
  })

  test('counts once if an earlier version recorded it; later, an event of a token without a name is another one', async () => {
    expect(await deliver(undefined)).toEqual(['recorded'])
    await sql`update event_ids set seen_on = (select unscoped_until from event_id_scope)`.execute(stores.database.sql)
    expect(await deliver('a.example')).toEqual(['repeated'])
    await sql`update event_ids set seen_on = seen_on + 1`.execute(stores.database.sql)
    expect(await deliver('a.example')).toEqual(['recorded'])
  })
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import type { RegistryRequest } from '../../src/events/registry-request.js'
import type { UnreadableEvent } from '../../src/events/reported-item.js'
import { createIsOwnRead, ownReadAgent } from '../../src/registries/own-reads.js'
import { createRegistries } from '../../src/registries/registries.js'
import { fixedClock } from '../servers/clock.js'
import { counted, countOf, createCounting } from '../servers/counting.js'
import { anEvent, DIGEST } from '../servers/events.js'
import { inventoryOf } from '../servers/inventory.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const TAG_USERS = 'i_container_registry_push_tag_user-2026-47'

const unreadable = (id: number): UnreadableEvent => ({
  id: anEvent({ id }).id,
  unreadable: 'bad_tag',
  detail: 'target.tag is not a tag',
  excerpt: '{}',
})

describe.each(STORE_PAIRS)('ingest on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
    await sql`alter table tallies add constraint no_mounts_in_may check (not (name like '%mount' and day between '2026-05-01' and '2026-05-31'))`.execute(
      stores.database.sql,
    )
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const rejected = async (): Promise<unknown[]> =>
    (await sql`select reason, detail from rejected_events order by id`.execute(stores.database.sql)).rows
  const tally = async (name: string): Promise<number> =>
    Number(
      (
        await sql<{ value: string }>`select coalesce(sum(value), 0) as value from tallies where name = ${name}`.execute(
          stores.database.sql,
        )
      ).rows[0]?.value,
    )

  test('each event counts once, within an envelope and between envelopes', async () => {
    const { ingest } = createCounting(stores)
    const event = anEvent({ tag: '1', name: 'alice', type: 'build' })
    expect(await ingest([event, event])).toEqual(['recorded', 'repeated'])
    expect(await ingest([event])).toEqual(['repeated'])
    expect(await createCounting(stores).ingest([event])).toEqual(['repeated'])
    expect([await countOf(stores, TAG_USERS), await tally('i_container_registry_push')]).toEqual([1, 1])
  })

  test('an id that comes again with another body counts in no total, but may add its user', async () => {
    const { ingest } = createCounting(stores)
    const event = { tag: '1', type: 'build' }
    expect(await ingest([anEvent({ ...event, name: 'alice' })])).toEqual(['recorded'])
    expect(await ingest([anEvent({ ...event, name: 'bob' })])).toEqual(['repeated'])
    expect([await countOf(stores, TAG_USERS), await tally('i_container_registry_push')]).toEqual([2, 1])
  })

  test('an unreadable event is kept once, and counted as a skip once', async () => {
    const { ingest } = createCounting(stores)
    expect(await ingest([unreadable(1), anEvent({ id: 2 }), unreadable(1), unreadable(3)])).toEqual([
      'bad_tag',
      'recorded',
      'repeated',
      'bad_tag',
    ])
    expect(await ingest([unreadable(1)])).toEqual(['repeated'])
    expect(await rejected()).toHaveLength(2)
    expect(await tally('skip:bad_tag')).toBe(2)
  })

  test('a read of our own is remembered, and counts for nothing but itself', async () => {
    const asked = ['registry.example', 'another.example'].map((name) => ({ name, aliases: [], url: `https://${name}` }))
    const isOwnRead = createIsOwnRead(
      'secret',
      createRegistries(() => asked),
    )
    const { ingest } = createCounting(stores, fixedClock, isOwnRead)
    const pull = { action: 'pull', tag: '1', name: 'alice', digest: DIGEST, object: 'manifest' } as const
    const userAgent = ownReadAgent('1.0', 'secret', { name: 'registry.example' })
    const own = anEvent({ ...pull, id: 1, userAgent, registry: 'registry.example' })
    const forged = anEvent({
      ...pull,
      id: 2,
      registry: 'registry.example',
      userAgent: ownReadAgent('1.0', 'another', { name: 'registry.example' }),
    })
    expect(await ingest([own, own, forged, unreadable(3)])).toEqual(['own_read', 'repeated', 'recorded', 'bad_tag'])
    expect(await ingest([own])).toEqual(['repeated'])
    expect([await tally('skip:own_read'), await tally('i_container_registry_pull')]).toEqual([1, 1])
    await stores.clear()
    expect(await ingest([own])).toEqual(['own_read'])
    expect(Object.values(await inventoryOf(stores.database)).flat()).toEqual([])
    await stores.clear()
    // A line of an access log reports a request alone.
    const line = (id: number, more: { userAgent?: string }): RegistryRequest => ({
      ...{ id: anEvent({ id }).id, source: 'notification', registry: 'registry.example', requester: more },
      ...{ at: own.at, repository: own.repository, object: 'manifest', method: 'GET', status: 200 },
    })
    expect(await ingest([line(5, { userAgent }), line(6, {})])).toEqual(['own_read', 'recorded'])
    await stores.clear()
    const elsewhere = anEvent({ ...pull, id: 4, userAgent, registry: 'another.example' })
    expect(await ingest([elsewhere])).toEqual(['recorded'])
    expect([await tally('skip:own_read'), await tally('i_container_registry_pull')]).toEqual([0, 1])
  })

  test('the culprit the database refuses is set aside; its 200 neighbours count', async () => {
    const { ingest } = createCounting(stores)
    const events = Array.from({ length: 201 }, (_, i) =>
      anEvent({ id: i + 1, tag: '1', name: `user-${i}`, type: 'build' }),
    )
    events[77] = anEvent({ id: 78, action: 'mount', at: '2026-05-05T00:00:00Z' })
    const outcomes = await ingest(events)
    expect(outcomes[77]).toBe('not_storable')
    expect(outcomes.filter((outcome) => outcome === 'recorded')).toHaveLength(200)
    expect(await rejected()).toEqual([{ reason: 'not_storable', detail: 'the database refused it (SQLSTATE 23514)' }])
    expect(await tally('i_container_registry_push')).toBe(200)
    expect(await ingest(events)).toEqual(events.map(() => 'repeated'))
  })

  test('a set-aside event whose excerpt the database refuses is kept without it, and its neighbours count', async () => {
    const refuse = sql`alter table rejected_events add constraint no_refused check (excerpt not like '%refused%')`
    await refuse.execute(stores.database.sql)
    const { ingest } = createCounting(stores)
    const mount = anEvent({ id: 4, action: 'mount', at: '2026-05-05T00:00:00Z', repository: 'refused/app' })
    const events = [anEvent({ id: 1 }), { ...unreadable(2), excerpt: '{"tag":"refused"}' }, anEvent({ id: 3 }), mount]
    expect(await ingest(events)).toEqual(['recorded', 'bad_tag', 'recorded', 'not_storable'])
    expect(await ingest(events)).toEqual(events.map(() => 'repeated'))
    expect(
      (await sql`select reason, excerpt from rejected_events order by id`.execute(stores.database.sql)).rows,
    ).toEqual([
      { reason: 'bad_tag', excerpt: '{}' },
      { reason: 'not_storable', excerpt: '{}' },
    ])
    expect([await tally('skip:bad_tag'), await tally('skip:not_storable')]).toEqual([1, 1])
    await sql`alter table rejected_events drop constraint no_refused`.execute(stores.database.sql)
  })

  test('details and excerpts of set-aside events are stored in ASCII', async () => {
    const event = { ...unreadable(1), detail: 'the tag is “é”', excerpt: '{"tag":"Ω\0…"}' }
    expect(await createCounting(stores).ingest([event])).toEqual(['bad_tag'])
    expect((await sql`select detail, excerpt from rejected_events`.execute(stores.database.sql)).rows).toEqual([
      { detail: 'the tag is ???', excerpt: '{"tag":"???"}' },
    ])
  })

  test('two processes that take the same events at once count them once', async () => {
    const events = Array.from({ length: 300 }, (_, i) =>
      anEvent({ id: i + 1, tag: '1', name: `user-${i % 50}`, type: 'build' }),
    )
    const outcomes = await Promise.all([
      createCounting(stores).ingest(events),
      createCounting(stores).ingest([...events].reverse()),
      ...events.slice(0, 20).map(async (event) => createCounting(stores).ingest([event])),
    ])
    expect(outcomes.flat().filter((outcome) => outcome === 'recorded')).toHaveLength(300)
    expect(await tally('i_container_registry_push')).toBe(300)
  })

  test('an event without anybody behind it counts in the totals', async () => {
    const { ingest } = createCounting(stores)
    await ingest([
      anEvent({ id: 1, action: 'pull' }),
      anEvent({ id: 2, action: 'pull', method: 'HEAD' }),
      anEvent({ id: 3, action: 'mount' }),
    ])
    expect(Object.keys(await counted(stores)).sort()).toEqual([
      'events:without_user 2026-11-21',
      'i_container_registry_check 2026-11-18',
      'i_container_registry_mount 2026-11-18',
      'i_container_registry_pull 2026-11-18',
      'registry.example/team/app',
    ])
  })

  test('weeks, months and days are those of the event, in UTC', async () => {
    const { ingest } = createCounting(stores)
    await ingest([anEvent({ tag: '1', name: 'alice', type: 'build', at: '2026-12-31T23:59:59.999-01:00' })])
    expect(Object.keys(await counted(stores)).sort()).toEqual([
      'i_container_registry_push 2027-01-01',
      'registry.example/team/app',
      '{hll_counters}_i_container_registry_push_tag_user-2026-53',
      '{hll_counters}_i_container_registry_push_tag_user-2027-M01',
    ])
  })
})

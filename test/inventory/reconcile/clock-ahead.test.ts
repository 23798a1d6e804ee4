import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import { reconcile } from '../../../src/inventory/reconcile/reconcile.js'
import type { ReconciliationReport } from '../../../src/inventory/reconcile/reports.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { liveIn } from '../../servers/inventory.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'
import { digestNamed, imageNamed, put, stubRegistry, type StubRegistry } from '../../servers/stub-registry.js'

const REGISTRY = 'registry.example'
const NOW = '2026-11-18T11:00:00Z'
const AHEAD = '2026-11-19T07:00:00Z'
const LATER_AHEAD = '2026-11-19T07:00:01Z'
const NO_DRIFT = { missing: 0, stale: 0, different: 0 }
const first = imageNamed('a1', ['b1'])
const second = imageNamed('a2', ['b1'])

describe.each(STORE_PAIRS)('a registry whose clock was 20 hours ahead is reconciled, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const run = async (client: StubRegistry, apply: boolean): Promise<ReconciliationReport> =>
    reconcile(
      { database: stores.database, client, now: () => new Date(NOW) },
      { registry: REGISTRY, apply, rate: 100_000 },
    )
  /** As a version that trusted every time stored them: its clock is that of the registry. */
  const ingestTrusting = async (events: RegistryEvent[]): Promise<unknown> =>
    createCounting(stores, () => new Date('2026-11-20T00:00:00Z')).ingest(events)
  const ingest = async (events: RegistryEvent[]): Promise<unknown> =>
    createCounting(stores, () => new Date(NOW)).ingest(events)
  const push = (id: number, at: string, { digest } = first): RegistryEvent =>
    anEvent({
      id,
      at,
      object: 'manifest',
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest,
      tag: '1.0',
      references: [{ digest: digestNamed('b1'), mediaType: 'application/octet-stream', size: 10 }],
    })
  const remove = (id: number, at: string, what: object = { tag: '1.0' }): RegistryEvent =>
    anEvent({ id, at, action: 'delete', ...what })
  const withImage = (image = first): StubRegistry => {
    const registry = stubRegistry()
    put(registry.repository('team/app'), image, '1.0')
    return registry
  }
  const expectRepaired = async (registry: StubRegistry, expected: object): Promise<void> => {
    expect((await run(registry, false)).drift).toMatchObject(expected)
    expect((await run(registry, true)).drift).toMatchObject(expected)
    expect((await run(registry, false)).drift).toEqual(NO_DRIFT)
  }

  describe.each([
    ['with times that are stored since before', ingestTrusting],
    ['a moment after its events', ingest],
  ])('%s', (__, store) => {
    test('a tag that the registry does not have is stale, and goes', async () => {
      await store([push(1, AHEAD)])
      await expectRepaired(stubRegistry(), { stale: 3 })
      expect(await liveIn(stores.database, REGISTRY)).toEqual({})
    })

    test.each([
      ['a deleted tag', { tag: '1.0' }],
      ['a deleted manifest', { digest: first.digest }],
      ['a deleted repository', {}],
    ])('%s that the registry has is missing, and comes back', async (___, what) => {
      await store([push(1, AHEAD), remove(2, LATER_AHEAD, what)])
      await run(withImage(), true)
      expect((await run(withImage(), false)).drift).toEqual(NO_DRIFT)
      expect(await liveIn(stores.database, REGISTRY)).toMatchObject({ 'team/app': { tags: { '1.0': first.digest } } })
    })

    test('a tag that points elsewhere is different, and moves', async () => {
      await store([push(1, AHEAD)])
      await run(withImage(second), true)
      expect(await liveIn(stores.database, REGISTRY)).toMatchObject({ 'team/app': { tags: { '1.0': second.digest } } })
      expect((await run(withImage(second), false)).drift).toEqual(NO_DRIFT)
    })
  })

  test('times of the future are put right where nothing drifted: a delete of the next minute wins', async () => {
    await ingestTrusting([push(1, AHEAD)])
    await run(withImage(), true)
    const { rows } = await sql`
      select from inventory.tags where greatest(pointed_at, pushed_at, first_seen_at) > ${NOW}
      union all select from inventory.repository_manifests where greatest(seen_at, first_seen_at) > ${NOW}
      union all select from inventory.repository_blobs where greatest(seen_at, first_seen_at) > ${NOW}
      union all select from inventory.repositories where greatest(first_seen_at, last_seen_at) > ${NOW}
    `.execute(stores.database.sql)
    expect(rows).toEqual([])
    await createCounting(stores, () => new Date('2026-11-18T11:02:00Z')).ingest([remove(2, '2026-11-18T11:01:00Z')])
    expect(await liveIn(stores.database, REGISTRY)).toMatchObject({ 'team/app': { tags: {} } })
  })

  test('what was deleted and pushed in the future, in either order, stays what it is', async () => {
    await ingestTrusting([push(1, AHEAD), remove(2, LATER_AHEAD)])
    await run(stubRegistry(), true)
    expect(await liveIn(stores.database, REGISTRY)).toEqual({})
    await stores.clear()
    await ingestTrusting([remove(1, AHEAD), push(2, LATER_AHEAD)])
    await run(withImage(), true)
    expect(await liveIn(stores.database, REGISTRY)).toMatchObject({ 'team/app': { tags: { '1.0': first.digest } } })
  })

  test('an event that arrives while the registry is asked is newer than its answers, also from a clock that is ahead', async () => {
    let arriving: Promise<unknown> | undefined
    const registry = stubRegistry(2, (request) => {
      if (request !== 'catalog' || arriving) return
      arriving = createCounting(stores, () => new Date('2026-11-18T11:00:01Z')).ingest([push(1, AHEAD)])
    })
    await ingest([push(2, '2026-11-18T09:00:00Z', second)])
    put(registry.repository('team/app'), second, '1.0')
    const original = registry.tags
    registry.tags = async (...wanted) => {
      await arriving
      return original(...wanted)
    }
    await run(registry, true)
    expect(await liveIn(stores.database, REGISTRY)).toMatchObject({ 'team/app': { tags: { '1.0': first.digest } } })
  })
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { setTimeout } from 'node:timers/promises'
import type { Digest, RepositoryPath } from '../../../src/events/reference.js'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import type { Descriptor } from '../../../src/events/descriptor.js'
import { createActors } from '../../../src/inventory/record/actors.js'
import { closeDeleted } from '../../../src/inventory/record/close-deleted.js'
import { propagateNotedBlobs } from '../../../src/inventory/record/propagate-noted-blobs.js'
import { gatherObservations } from '../../../src/inventory/record/gather-observations.js'
import { learnManifest } from '../../../src/inventory/record/learn-manifest.js'
import { carryOutRenames } from '../../../src/inventory/record/renames.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { openServerStores, STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const digest = (name: string): Digest => `sha256:${name.padStart(64, '0')}` as Digest
const layers = (count: number): Descriptor[] =>
  Array.from({ length: count }, (_, i) => ({ digest: digest(String(i)), mediaType: 'a/layer', size: 10 }))

let ids = 0
type Wanted = NonNullable<Parameters<typeof anEvent>[0]>
const shown = (repository: string, second: number, more: Wanted = {}): RegistryEvent =>
  anEvent({
    id: ++ids,
    object: 'manifest',
    digest: digest('d'),
    repository,
    at: `2026-11-18T10:00:${String(second).padStart(2, '0')}Z`,
    ...more,
  })

const blobsIn = async ({ database }: TestStores): Promise<Record<string, number>> => {
  const { rows } = await sql<{ name: string | null; count: number }>`
    select r.name, count(*)::int as count from inventory.repository_blobs b
    left join inventory.repositories r on r.id = b.repository_id where b.live group by 1
  `.execute(database.sql)
  return Object.fromEntries(rows.map(({ name, count }) => [name ?? 'nowhere', count]))
}

test('events that show a manifest in many repositories add no more rows than they stated', () => {
  const nothing = {
    describes: () => false,
    implies: () => false,
    actors: createActors(),
    learn: () => undefined,
    forget: () => undefined,
  }
  const events = [
    shown('stated', 1, { references: layers(2_000) }),
    ...Array.from({ length: 600 }, (_, i) => shown(`other-${i}`, 1)),
    ...Array.from({ length: 50 }, (_, i) => shown(`many-${i}`, 1, { digest: digest('e'), references: layers(1_000) })),
  ]
  const seen = gatherObservations(events, {
    remembered: nothing,
    lookupOriginOf: () => undefined,
    now: () => new Date(0),
  })
  expect(seen.blobsInRepositories.length).toBeLessThanOrEqual(20_000)
  expect(seen.blobsInRepositories.length).toBeGreaterThan(2_000)
  expect(seen.shown.filter(({ isCovered }) => !isCovered).length).toBeGreaterThanOrEqual(600)
})

describe.each(STORE_PAIRS)('contents of manifests, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  beforeEach(async () => stores.clear())
  afterAll(async () => stores.close())

  const repositories = Array.from({ length: 45 }, (_, i) => `r${i}`)
  const expected = (names: readonly string[]): Record<string, number> =>
    Object.fromEntries(names.map((name) => [name, 1_000]))

  test('goes to very many repositories in steps, behind the event', async () => {
    const { ingest } = createCounting(stores)
    await ingest(repositories.map((name) => shown(name, 1)))
    await ingest([shown('one-more', 2, { references: layers(1_000) })])
    expect(await blobsIn(stores)).toEqual(expected(['one-more']))
    await propagateNotedBlobs(stores.database)
    expect(await blobsIn(stores)).toEqual(expected([...repositories, 'one-more']))
    // Another process hears it again: nothing is new.
    await createCounting(stores).ingest([shown('one-more', 3, { action: 'pull', references: layers(1_000) })])
    const { rows } = await sql`select from inventory.manifests where tell_after is not null`.execute(
      stores.database.sql,
    )
    expect(rows).toEqual([])
  })

  test('of a manifest with more entries than a step adds goes to all its repositories', async () => {
    const { ingest } = createCounting(stores)
    await ingest([shown('first', 1, { references: layers(12_000) }), shown('second', 1)])
    await propagateNotedBlobs(stores.database)
    expect(await blobsIn(stores)).toEqual({ first: 12_000, second: 12_000 })
    // ShownManifest again, by this process and another, it is neither stored nor added a second time.
    await ingest([shown('first', 2, { references: layers(12_000) })])
    await createCounting(stores).ingest([shown('third', 3, { references: layers(12_000) })])
    await propagateNotedBlobs(stores.database)
    expect(await blobsIn(stores)).toEqual({ first: 12_000, second: 12_000, third: 12_000 })
    const { rows } = await sql<{
      entries: number
    }>`select count(*)::int as entries from inventory.manifest_blobs`.execute(stores.database.sql)
    expect(rows).toEqual([{ entries: 12_000 }])
  })

  test('goes to very many repositories that show it at once', async () => {
    const { ingest } = createCounting(stores)
    await ingest([shown('first', 1, { references: layers(1_000) })])
    await ingest(repositories.map((name) => shown(name, 2)))
    await propagateNotedBlobs(stores.database)
    expect(await blobsIn(stores)).toEqual(expected([...repositories, 'first']))
  })

  test('goes to very many repositories when it is read from a registry', async () => {
    const { ingest } = createCounting(stores)
    await ingest(repositories.map((name) => shown(name, 1)))
    await stores.database.transaction(async (tx) =>
      learnManifest(tx, { digest: digest('d'), mediaType: 'an/image', size: 20, contents: layers(1_000) }),
    )
    await propagateNotedBlobs(stores.database)
    expect(await blobsIn(stores)).toEqual(expected(repositories))
  })
})

describe('blobs of a known manifest are propagated while its repositories change', () => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await openServerStores()
  })
  beforeEach(async () => stores.clear())
  afterAll(async () => stores.close())

  /** Runs while the propagation waits for a row that another transaction has locked. */
  const whileTelling = async (then: () => Promise<void>): Promise<void> => {
    const { ingest } = createCounting(stores)
    await ingest([shown('a', 1), anEvent({ id: ++ids, object: 'blob', digest: digest('0'), repository: 'a' })])
    await ingest([shown('gone', 2)])
    let pending: Promise<unknown> = Promise.resolve()
    let after: Promise<void> = Promise.resolve()
    await stores.database.transaction(async (tx) => {
      await sql`select from inventory.repository_blobs for update`.execute(tx)
      pending = createCounting(stores).ingest([shown('b', 3, { references: layers(1) })])
      await setTimeout(300)
      after = then()
      await setTimeout(500)
    })
    await Promise.all([pending, after])
  }

  test('ends with a repository that is deleted meanwhile', async () => {
    await whileTelling(async () => {
      await createCounting(stores).ingest([
        anEvent({ id: ++ids, action: 'delete', repository: 'gone', at: '2026-11-18T10:00:10Z' }),
      ])
      await closeDeleted(stores.database)
    })
    await closeDeleted(stores.database)
    expect(await blobsIn(stores)).toEqual({ a: 1, b: 1 })
  })

  test('goes with a repository that is renamed meanwhile', async () => {
    const rename = { what: 'repository', from: 'gone' as RepositoryPath, to: 'new' as RepositoryPath } as const
    await whileTelling(async () => {
      await createCounting(stores).ingest([
        anEvent({ id: ++ids, action: 'rename', repository: 'gone', at: '2026-11-18T10:00:10Z', rename }),
      ])
      await carryOutRenames(stores.database, { since: new Date(0) })
    })
    expect(await blobsIn(stores)).toEqual({ a: 1, b: 1, new: 1 })
  })

  test('waits for a rename without a deadlock', async () => {
    const { ingest } = createCounting(stores)
    await ingest([shown('old', 1, { references: layers(1) })])
    const rename = { what: 'repository', from: 'old' as RepositoryPath, to: 'new' as RepositoryPath } as const
    await ingest([anEvent({ id: ++ids, action: 'rename', repository: 'old', at: '2026-11-18T10:00:10Z', rename })])
    let all: Promise<unknown> = Promise.resolve()
    await stores.database.transaction(async (tx) => {
      await sql`select from inventory.repositories for update`.execute(tx)
      const moving = carryOutRenames(stores.database, { since: new Date(0) })
      await setTimeout(200)
      all = Promise.all([moving, createCounting(stores).ingest([shown('old', 3, { references: layers(1) })])])
      await setTimeout(200)
    })
    await all
    // PostgreSQL updates its statistics a second later.
    await setTimeout(1_500)
    const { rows } = await sql<{ deadlocks: number }>`
      select deadlocks::int from pg_stat_database where datname = current_database()
    `.execute(stores.database.sql)
    expect(rows).toEqual([{ deadlocks: 0 }])
  })
})

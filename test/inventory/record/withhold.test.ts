import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import type { Descriptor } from '../../../src/events/descriptor.js'
import { isKnownIn } from '../../../src/inventory/model/known-in.js'
import { learnManifest } from '../../../src/inventory/record/learn-manifest.js'
import { propagateNotedBlobs } from '../../../src/inventory/record/propagate-noted-blobs.js'
import { createAsking, type Asking, type Wanted } from '../../servers/asking.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { digestOf } from '../../servers/history.js'
import { OCI_IMAGE } from '../../servers/manifests.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const REGISTRY = 'registry.example'

const layers = (count: number): Descriptor[] =>
  Array.from({ length: count }, (_, i) => ({ digest: digestOf(String(i + 1)), mediaType: 'a/layer', size: 10 }))
const repositories = (count: number): string[] => Array.from({ length: count }, (_, i) => `r${i}`)

describe.each(STORE_PAIRS)('a list of entries in many repositories, on %s', (_, open) => {
  let stores: TestStores
  let asking: Asking
  let ids = 0
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => {
    await stores.clear()
    asking = createAsking(stores, NOW)
    ids = 1_000
  })

  const image = (name: string, repository: string, more: Wanted = {}): Wanted => ({
    ...{ object: 'manifest', digest: digestOf(name), mediaType: OCI_IMAGE, size: 500, repository, registry: REGISTRY },
    ...{ action: 'pull', at: '2026-11-20T10:00:00Z' },
    ...more,
  })
  const ingest = async (...wanted: Wanted[]): Promise<void> => {
    await createCounting(stores, () => NOW).ingest(wanted.map((one) => anEvent({ id: ++ids, ...one })))
  }
  const rows = async (): Promise<number> => {
    const { rows } = await sql<{
      count: number
    }>`select count(*)::int as count from inventory.repository_blobs`.execute(stores.database.sql)
    return rows[0]?.count ?? 0
  }
  const isPending = async (): Promise<boolean> =>
    (await sql`select from inventory.manifests where tell_after is not null`.execute(stores.database.sql)).rows.length >
    0
  const tellAll = async (): Promise<void> => {
    const turns = {}
    for (let runs = 0; runs < 100 && (await isPending()); runs++) await propagateNotedBlobs(stores.database, turns)
  }
  const unknownContents = async (): Promise<number | undefined> => {
    await asking.summary()
    return (await asking.answer('images')).unknown?.contents
  }
  /** Whether the list is known in a registry. */
  const isKnown = async (registry = REGISTRY): Promise<unknown> => {
    const { rows } = await sql<{ known: boolean }>`
      select ${isKnownIn(sql`m`, sql.lit(registry))} as known from inventory.manifests m
    `.execute(stores.database.sql)
    return rows[0]?.known
  }
  const sizes = async (): Promise<unknown[]> => [
    ...new Set((await asking.items('images', { limit: '1000' })).map(({ size }) => size)),
  ]

  test('is unknown in a registry, if it makes more than a million rows', async () => {
    const pushed = { action: 'push', tag: 'v1' } as const
    await ingest(image('a', 'r0', { ...pushed, references: layers(10_000) }))
    await tellAll()
    const lone = { object: 'blob', digest: digestOf('b'), size: 10, action: 'push' } as const
    await ingest(image('a', 'r100', pushed), { ...lone, registry: REGISTRY, repository: 'r100', at: NOW.toISOString() })
    await sql`update inventory.repository_blobs set pushed_at = '2026-11-01' where digest = ${digestOf('b')}`.execute(
      stores.database.sql,
    )
    await ingest(...repositories(101).map((name) => image('a', name, { ...pushed, action: 'pull' })))
    await tellAll()
    expect(await rows()).toBeLessThan(50_000)
    expect(await unknownContents()).toBe(101)
    expect(await sizes()).toEqual([null])
    expect(await asking.digests('orphaned-blobs')).toEqual([])
    // Nor does an event that repeats the list make it known.
    await ingest(image('a', 'r1', { ...pushed, references: layers(10_000) }))
    await tellAll()
    expect(await rows()).toBeLessThan(60_000)
    expect(await unknownContents()).toBe(101)
  })

  test('is known again when the registry shows it', async () => {
    await ingest(image('a', 'r0', { tag: 'v1', references: layers(10_000) }))
    await ingest(...repositories(101).map((name) => image('a', name, { tag: 'v1' })))
    await tellAll()
    expect(await isKnown()).not.toBe(true)
    await stores.database.transaction(async (tx) =>
      learnManifest(tx, { digest: digestOf('a'), mediaType: OCI_IMAGE, size: 500, contents: layers(10_000) }),
    )
    expect(await isKnown()).toBe(true)
    await propagateNotedBlobs(stores.database)
    expect(await rows()).toBeGreaterThan(50_000)
  })

  test('is unaffected by the repositories of another registry', async () => {
    await ingest(image('a', 'r0', { tag: 'v1', references: layers(10_000) }))
    await ingest(...repositories(110).map((name) => image('a', name, { registry: 'other.example' })))
    await ingest(image('a', 'r1', { tag: 'v1' }))
    await tellAll()
    expect(await rows()).toBe(20_000)
    expect(await isKnown()).toBe(true)
  })

  test('continues with the repositories of another registry that stated it', async () => {
    const elsewhere = { registry: 'other.example' }
    for (const where of [{}, elsewhere]) await ingest(image('a', 'r0', { ...where, references: layers(10_000) }))
    await ingest(...repositories(101).map((name) => image('a', name)), image('a', 'r1', elsewhere))
    await tellAll()
    const { rows: stored } = await sql`
      select r.name, count(*)::int as blobs from inventory.repository_blobs b join inventory.repositories r on r.id = b.repository_id
      where r.registry = 'other.example' group by r.name order by r.name
    `.execute(stores.database.sql)
    expect(stored).toEqual([
      { name: 'r0', blobs: 10_000 },
      { name: 'r1', blobs: 10_000 },
    ])
    expect([await isKnown(), await isKnown('other.example')]).toEqual([false, true])
  })

  test.each([
    [250, true],
    [251, false],
  ])('of %i entries is known in all of 4,100 repositories: %s', async (count, expected) => {
    await ingest(image('a', 'r0', { references: layers(count) }))
    await sql`
      with added as (
        insert into inventory.repositories (registry, name, first_seen_at, last_seen_at)
        select ${REGISTRY}, 'more' || n, ${NOW}, ${NOW} from generate_series(1, 4100) n returning id
      )
      insert into inventory.repository_manifests (repository_id, digest, pulled_at, first_seen_at)
      select id, ${digestOf('a')}, ${NOW}, ${NOW} from added
    `.execute(stores.database.sql)
    await ingest(image('a', 'r1'))
    await propagateNotedBlobs(stores.database)
    expect(await isKnown()).toBe(expected)
  })

  test('takes turns with others, and a part of each run', async () => {
    for (const [name, count] of [
      ['a', 900],
      ['e', 1_000],
    ] as const) {
      const places = repositories(name === 'a' ? 125 : 8)
      await ingest(image(name, 'r0', { references: layers(count) }))
      await ingest(...places.map((place) => image(name, `${name}/${place}`)))
    }
    const before = await rows()
    await propagateNotedBlobs(stores.database)
    expect(await rows()).toBeLessThanOrEqual(before + 100_000)
    const { rows: left } = await sql<{ digest: string }>`
      select digest from inventory.manifests where tell_after is not null
    `.execute(stores.database.sql)
    expect(left).toEqual([{ digest: digestOf('a') }])
    await tellAll()
    // Entries are the same in part: each repository has each once.
    expect(await rows()).toBe(1_000 + 125 * 900 + 8 * 1_000)
  })
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import { reconcile, type ReconcileOptions } from '../../../src/inventory/reconcile/reconcile.js'
import type { ReconciliationReport } from '../../../src/inventory/reconcile/reports.js'
import type { FetchedManifest } from '../../../src/registries/client/registry-client.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { inventoryOf, liveIn } from '../../servers/inventory.js'
import { runs } from '../../servers/runs.js'
import { openEmbeddedStores, type TestStores } from '../../servers/stores.js'
import {
  digestNamed,
  imageNamed,
  indexNamed,
  put,
  stubRegistry,
  type StubRegistry,
} from '../../servers/stub-registry.js'

const REGISTRY = 'registry.example'

const IMAGES = [imageNamed('a1', ['b1', 'b2']), imageNamed('a2', ['b2', 'b3'])]
const [one, two] = IMAGES as [FetchedManifest, FetchedManifest]
const MANIFESTS = [one, two, indexNamed('a3', [one, two])]
const BLOBS = ['b1', 'b2', 'b3', 'b4'].map(digestNamed)
const REPOSITORIES = ['a', 'team/b', 'team/c']
const TAGS = ['1.0', 'latest', 'old']

let stores: TestStores
beforeAll(async () => {
  stores = await openEmbeddedStores()
})
beforeEach(async () => stores.clear())
afterAll(async () => stores.close())

const run = async (
  client: StubRegistry,
  at: string,
  options: Partial<ReconcileOptions> = {},
): Promise<ReconciliationReport> =>
  reconcile(
    { database: stores.database, client, now: () => new Date(at), toleranceMs: 0 },
    { registry: REGISTRY, apply: true, rate: 1_000_000, ...options },
  )

const minute = (hour: string): fc.Arbitrary<string> =>
  fc.integer({ min: 0, max: 9 }).map((n) => `2026-11-18T${hour}:0${n}:00Z`)

type Wanted = Parameters<typeof anEvent>[0] & object
const numbered = (events: Wanted[]): RegistryEvent[] => events.map((wanted, i) => anEvent({ ...wanted, id: i + 1 }))

/** An event of a repository: of a manifest, a blob or a tag. */
const anything = (hour: string): fc.Arbitrary<Wanted> =>
  fc
    .record({
      repository: fc.constantFrom(...REPOSITORIES),
      at: minute(hour),
      action: fc.constantFrom('push', 'push', 'push', 'pull', 'delete'),
      manifest: fc.constantFrom(...MANIFESTS),
      blob: fc.option(fc.constantFrom(...BLOBS), { nil: undefined, freq: 3 }),
      tag: fc.option(fc.constantFrom(...TAGS), { nil: undefined }),
    })
    .map(({ manifest, blob, tag, ...fields }): Wanted => {
      if (fields.action === 'delete') {
        return { ...fields, ...(tag === undefined ? { digest: blob ?? manifest.digest } : { tag }) }
      }
      if (blob !== undefined) {
        return { ...fields, digest: blob, object: 'blob', mediaType: 'application/octet-stream', size: 10 }
      }
      const { digest, mediaType, size } = manifest
      return { ...fields, digest, mediaType, size, object: 'manifest', ...(tag !== undefined && { tag }) }
    })

const contents: fc.Arbitrary<StubRegistry> = fc
  .record({
    pushes: fc.array(
      fc.record({
        repository: fc.constantFrom(...REPOSITORIES),
        manifest: fc.constantFrom(...MANIFESTS),
        tag: fc.option(fc.constantFrom(...TAGS), { nil: undefined }),
      }),
      { maxLength: 6 },
    ),
    deleted: fc.subarray([...BLOBS, one.digest]),
    pageSize: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ pushes, deleted, pageSize }) => {
    const registry = stubRegistry(pageSize)
    for (const { repository, manifest, tag } of pushes) {
      if (manifest === MANIFESTS[2]) for (const image of IMAGES) put(registry.repository(repository), image)
      put(registry.repository(repository), manifest, tag)
    }
    for (const repository of registry.repositories.values()) {
      for (const digest of deleted) {
        repository.blobs.delete(digest)
        repository.manifests.delete(digest)
        for (const [tag, to] of repository.tags) if (to === digest) repository.tags.delete(tag)
      }
    }
    return registry
  })

describe('reconciling', () => {
  test('any inventory with any registry leaves no drift', async () => {
    const scenario = fc.record({ reported: fc.array(anything('09'), { maxLength: 20 }), registry: contents })
    await fc.assert(
      fc.asyncProperty(scenario, async ({ reported, registry }) => {
        await stores.clear()
        await createCounting(stores).ingest(numbered(reported))
        // Contents of a manifest that were read in one repository add blobs to a repository that was compared before: hence twice.
        await run(registry, '2026-11-18T10:00:00Z', { blobChecks: 'all' })
        await run(registry, '2026-11-18T10:05:00Z', { blobChecks: 'all' })
        const again = await run(registry, '2026-11-18T10:10:00Z', { blobChecks: 'all', reread: true })
        expect({ drift: again.drift, failed: again.failed }).toEqual({
          drift: { missing: 0, stale: 0, different: 0 },
          failed: 0,
        })
        await expectAgreement(registry)
      }),
      runs(15),
    )
  }, 3_600_000)

  test('counts as much as an event of its moment, whatever comes before or after it', async () => {
    const registry = stubRegistry()
    for (const name of REPOSITORIES) {
      for (const manifest of MANIFESTS) put(registry.repository(name), manifest)
      for (const tag of TAGS) registry.repository(name).tags.set(tag, digestNamed('a3'))
    }
    const scenario = fc
      .record({
        before: fc.array(anything('09'), { maxLength: 10 }),
        after: fc.array(anything('11'), { maxLength: 10 }),
      })
      .map(({ before, after }) => numbered([...before, ...after]))
      .chain((events) =>
        fc.record({
          events: fc.shuffledSubarray(events, { minLength: events.length }),
          reported: fc.integer({ min: 0, max: events.length }),
        }),
      )
    // Blobs are not asked for: a registry shows them only to who knows of them.
    const observe = async (): Promise<unknown> => run(registry, '2026-11-18T10:00:00Z', { blobChecks: 'none' })
    await fc.assert(
      fc.asyncProperty(scenario, async ({ events, reported }) => {
        await stores.clear()
        await observe()
        await createCounting(stores).ingest([...events].sort((a, b) => a.at - b.at))
        const expected = await inventoryOf(stores.database)

        await stores.clear()
        const { ingest } = createCounting(stores)
        await ingest(events.slice(0, reported))
        await observe()
        await ingest(events.slice(reported))
        expect(await inventoryOf(stores.database)).toEqual(expected)
      }),
      runs(15),
    )
  }, 3_600_000)
})

/** Nothing lives that the registry lacks; and of what its tags reach, nothing that it has is missing. */
const expectAgreement = async (registry: StubRegistry): Promise<void> => {
  const live = await liveIn(stores.database, REGISTRY)
  for (const name of REPOSITORIES) {
    const recorded = live[name] ?? { tags: {}, manifests: [], blobs: [] }
    const { tags, manifests, blobs } = registry.repository(name)
    expect(recorded.tags).toEqual(Object.fromEntries(tags))
    expect(recorded.manifests.filter((digest) => !manifests.has(digest))).toEqual([])
    expect(recorded.blobs.filter((digest) => !blobs.has(digest))).toEqual([])
    for (const digest of tags.values()) {
      for (const { digest: part } of manifests.get(digest)?.contents ?? []) {
        if (manifests.has(part)) expect(recorded.manifests).toContain(part)
        if (blobs.has(part)) expect(recorded.blobs).toContain(part)
      }
    }
  }
}

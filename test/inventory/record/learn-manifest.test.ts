import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Digest } from '../../../src/events/reference.js'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import type { Descriptor } from '../../../src/events/descriptor.js'
import { learnManifest } from '../../../src/inventory/record/learn-manifest.js'
import type { FetchedManifest } from '../../../src/registries/client/registry-client.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { inventoryOf } from '../../servers/inventory.js'
import { OCI_CONFIG, OCI_IMAGE, OCI_INDEX } from '../../servers/manifests.js'
import { runsOn } from '../../servers/runs.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const digest = (name: string): Digest => `sha256:${name.padStart(64, '0')}` as Digest
const blob = (name: string): Descriptor => ({ digest: digest(name), mediaType: 'application/octet-stream', size: 10 })
const platform = { os: 'linux', architecture: 'arm64', variant: 'v8' }

const IMAGE: FetchedManifest = {
  digest: digest('a1'),
  mediaType: OCI_IMAGE,
  size: 20,
  config: digest('c1'),
  subject: digest('a9'),
  platform,
  contents: [{ digest: digest('c1'), mediaType: OCI_CONFIG, size: 5 }, blob('b1'), blob('b2')],
}
const INDEX: FetchedManifest = {
  digest: digest('a2'),
  mediaType: OCI_INDEX,
  size: 30,
  artifactType: 'application/vnd.example',
  contents: [{ digest: digest('a1'), mediaType: OCI_IMAGE, size: 20, platform }],
}

const event = fc.record({
  what: fc.constantFrom(IMAGE, INDEX),
  action: fc.constantFrom('push', 'push', 'pull', 'delete'),
  repository: fc.constantFrom('a', 'team/b'),
  second: fc.integer({ min: 0, max: 8 }),
  // Distribution 2 reports the children of an index, but not their platforms.
  isStated: fc.boolean(),
  blob: fc.boolean(),
})

const toEvent = (wanted: typeof event extends fc.Arbitrary<infer T> ? T : never, i: number): RegistryEvent => {
  const { what, action, repository, second, isStated } = wanted
  const at = `2026-11-18T10:00:00.00000${second}Z`
  if (wanted.blob) {
    const target = { digest: digest('b1'), size: 10 }
    return anEvent({ id: i + 1, at, repository, action, ...target, ...(action !== 'delete' && { object: 'blob' }) })
  }
  if (action === 'delete') return anEvent({ id: i + 1, at, repository, action, digest: what.digest })
  const references = what.contents.map(({ digest, mediaType = '', size = 0 }) => ({ digest, mediaType, size }))
  const { mediaType, size } = what
  return anEvent({
    ...{ id: i + 1, at, repository, action, object: 'manifest', digest: what.digest, mediaType, size },
    ...(isStated && { references }),
  })
}

describe.each(STORE_PAIRS)('manifests that registries return converge with events on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  const learn = async (manifest: FetchedManifest): Promise<void> =>
    stores.database.transaction(async (tx) => learnManifest(tx, manifest))

  test('before, after, between or beside them, once or again', async () => {
    const history = fc.array(event, { minLength: 1, maxLength: 12 }).map((all) => all.map(toEvent))
    const scenario = history.chain((events) =>
      fc.record({
        events: fc.constant(events),
        order: fc.shuffledSubarray<RegistryEvent | FetchedManifest>([...events, IMAGE, INDEX, IMAGE], {
          minLength: events.length + 3,
        }),
        beside: fc.boolean(),
      }),
    )
    await fc.assert(
      fc.asyncProperty(scenario, async ({ events, order, beside }) => {
        await stores.clear()
        await createCounting(stores).ingest(events)
        await learn(IMAGE)
        await learn(INDEX)
        const expected = await inventoryOf(stores.database)

        await stores.clear()
        const { ingest } = createCounting(stores)
        const waiting: Promise<unknown>[] = []
        for (const one of order) {
          const work = 'contents' in one ? learn(one) : ingest([one])
          if (beside) waiting.push(work)
          else await work
        }
        await Promise.all(waiting)
        expect(await inventoryOf(stores.database)).toEqual(expected)
      }),
      runsOn(stores.database, { postgresql: 40, pglite: 15 }),
    )
  })
})

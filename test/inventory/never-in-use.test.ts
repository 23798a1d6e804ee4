import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Descriptor } from '../../src/events/target.js'
import { createAsking, type Wanted } from '../servers/asking.js'
import { digestOf } from '../servers/history.js'
import { OCI_CONFIG, OCI_IMAGE, OCI_INDEX } from '../servers/manifests.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'
import { runsOn } from '../servers/runs.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'

type Manifest = { mediaType: string; entries: Descriptor[]; children: string[]; blobs: string[]; subject?: string }
const part = (name: string, mediaType: string): Descriptor => ({ digest: digestOf(name), mediaType, size: 10 })
const image = (config: string, ...layers: string[]): Manifest => ({
  mediaType: OCI_IMAGE,
  entries: [part(config, OCI_CONFIG), ...layers.map((layer) => part(layer, LAYER))],
  children: [],
  blobs: [config, ...layers],
})
const index = (...children: string[]): Manifest => ({
  mediaType: OCI_INDEX,
  entries: children.map((child) => part(child, child.startsWith('1d') ? OCI_INDEX : OCI_IMAGE)),
  children,
  blobs: [],
})
const referrer = (subject: string, blob: string): Manifest => ({
  mediaType: OCI_IMAGE,
  entries: [
    part('e0', 'application/vnd.oci.empty.v1+json'),
    part(blob, 'application/vnd.dev.sigstore.bundle.v0.3+json'),
  ],
  children: [],
  blobs: ['e0', blob],
  subject,
})
/** What clients push: images that share layers, indexes of them, an index in an index, a signature, and a signature of that. */
const MANIFESTS: Record<string, Manifest> = {
  a1: image('c1', 'b1', 'b2'),
  a2: image('c2', 'b1', 'b3'),
  a3: image('c3', 'b2'),
  '1d1': index('a1', 'a2'),
  '1d2': index('1d1', 'a3'),
  f1: referrer('a1', 'b5'),
  f2: referrer('f1', 'b6'),
}

const manifestNamed = (name: string): Manifest => MANIFESTS[name] ?? image(name)

type Deed = { deed: 'push' | 'pull' | 'untag' | 'delete'; what: string; tag: string | undefined; isTold: boolean }
const deed: fc.Arbitrary<Deed> = fc.record({
  deed: fc.constantFrom('push', 'push', 'push', 'pull', 'untag', 'delete'),
  what: fc.constantFrom(...Object.keys(MANIFESTS)),
  tag: fc.constantFrom(undefined, '1', 'latest'),
  isTold: fc.boolean(),
})

/** Leaves blobs that nothing uses, so that the lists have something however the random cases fall. */
const PUSHED_AND_DELETED: Deed[] = (['push', 'delete'] as const).map((name) => ({
  deed: name,
  what: 'a1',
  tag: undefined,
  isTold: true,
}))

/** A registry with one repository, and the clients that use it: what they do, it does, and says in its notifications. */
const createRegistry = () => {
  const manifests = new Set<string>()
  const blobs = new Set<string>()
  const tags = new Map<string, string>()
  const push = ({ what, tag, isTold }: Omit<Deed, 'deed'>): Wanted[] => {
    const { mediaType, entries, children, blobs: parts } = manifestNamed(what)
    const events = children.flatMap((child) =>
      manifests.has(child) ? [] : push({ what: child, tag: undefined, isTold }),
    )
    for (const name of parts) {
      // A client uploads what the repository lacks.
      const upload: Wanted = blobs.has(name) ? { action: 'pull', method: 'HEAD' } : {}
      events.push({ object: 'blob', digest: digestOf(name), size: 10, ...upload })
      blobs.add(name)
    }
    manifests.add(what)
    if (tag !== undefined) tags.set(tag, what)
    const references = isTold && { references: entries }
    return [
      ...events,
      { object: 'manifest', digest: digestOf(what), mediaType, size: 500, ...(tag && { tag }), ...references },
    ]
  }
  const pull = ({ what, isTold }: Deed): Wanted[] => {
    if (!manifests.has(what)) return []
    const { mediaType, entries } = manifestNamed(what)
    const references = isTold && { references: entries }
    return [{ action: 'pull', object: 'manifest', digest: digestOf(what), mediaType, size: 500, ...references }]
  }
  const untag = ({ tag = '1' }: Deed): Wanted[] => (tags.delete(tag) ? [{ action: 'delete', tag }] : [])
  const remove = ({ what }: Deed): Wanted[] => {
    if (!manifests.delete(what)) return []
    for (const [tag, digest] of tags) if (digest === what) tags.delete(tag)
    return [{ action: 'delete', digest: digestOf(what) }]
  }
  return {
    manifests,
    act: (one: Deed): Wanted[] => ({ push, pull, untag, delete: remove })[one.deed](one),
    /** Digests of blobs that a manifest has, and of manifests that a tag, an index, or a referrer's subject keeps. */
    used: (): Set<string> => {
      const there = [...manifests].map((name) => ({ name, ...manifestNamed(name) }))
      const referring = there.filter(({ subject }) => subject !== undefined && manifests.has(subject))
      const names = [
        ...there.flatMap(({ blobs: parts, children }) => [...parts, ...children]),
        ...referring.map(({ name }) => name),
        ...tags.values(),
      ]
      return new Set(names.map(digestOf))
    },
  }
}

describe.each(STORE_PAIRS)('clean-up lists on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  test('have nothing that is in use, whatever was there before and whatever is not told', async () => {
    let offered = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(deed, { maxLength: 6 }),
        fc.array(deed, { minLength: 1, maxLength: 14 }),
        async (before, deeds) => {
          await stores.clear()
          const { ingest, summary, items } = createAsking(stores, NOW)
          const registry = createRegistry()
          for (const one of before) registry.act(one)
          const old = new Set(registry.manifests)
          let minute = 0
          for (const one of deeds) {
            // What was there before the first event, and is pushed again, looks as if it were new.
            if (one.deed === 'push' && old.has(one.what)) continue
            for (const event of registry.act(one)) {
              await ingest({ ...event, at: new Date(Date.UTC(2026, 5, 1, 0, minute++)).toISOString() })
            }
          }
          await summary()
          const listed = [...(await items('orphaned-blobs')), ...(await items('untagged-manifests'))]
          const used = registry.used()
          expect(listed.map(({ digest }) => String(digest)).filter((digest) => used.has(digest))).toEqual([])
          offered += listed.length
        },
      ),
      { ...runsOn(stores.database, { postgresql: 60, pglite: 30 }), examples: [[[], PUSHED_AND_DELETED]] },
    )
    expect(offered).toBeGreaterThan(0)
  })
})

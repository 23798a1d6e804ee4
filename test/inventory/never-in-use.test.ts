import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Descriptor } from '../../src/events/descriptor.js'
import { settleChecks } from '../../src/inventory/record/settle-checks.js'
import { reconcile } from '../../src/inventory/reconcile/reconcile.js'
import type { Database } from '../../src/storage/sql/database.js'
import { createAsking, short, type Asking, type Wanted } from '../servers/asking.js'
import { digestOf } from '../servers/history.js'
import { OCI_CONFIG, OCI_IMAGE, OCI_INDEX } from '../servers/manifests.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'
import { runsOn } from '../servers/runs.js'
import { stubRegistry, type StubRegistry } from '../servers/stub-registry.js'

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

const CI = { address: '192.0.2.1', userAgent: 'buildkit/v0.12' }
const NODE = { address: '192.0.2.9', userAgent: 'containerd/v1.7.21' }

/** `head` is by a node, and a use; `ask` is by the client that pushes, as before a push. */
const DEEDS = ['push', 'pull', 'head', 'ask', 'untag', 'delete', 'reconcile', 'settle', 'summary'] as const
type Deed = {
  deed: (typeof DEEDS)[number]
  what: string
  tag: string | undefined
  isTold: boolean
  /** Of a reconcile: after so many transactions the database fails. */
  cut: number
}
const deed: fc.Arbitrary<Deed> = fc.record({
  deed: fc.constantFrom('push', 'push', 'push', ...DEEDS),
  what: fc.constantFrom(...Object.keys(MANIFESTS)),
  tag: fc.constantFrom(undefined, '1', 'latest'),
  isTold: fc.boolean(),
  cut: fc.nat(5),
})

const reported = (name: Deed['deed'], what: string, tag?: string): Deed => ({
  ...{ deed: name, what, tag, isTold: true, cut: 5 },
})
/** Leaves something for each list, so that all have rows however the random cases fall. */
const FOR_EACH_LIST: Deed[] = [
  reported('push', 'a1'),
  reported('push', 'a3', '1'),
  reported('push', 'a2'),
  reported('delete', 'a2'),
]

/** A registry with one repository, and the clients that use it: what they do, it does, and reports in its notifications. */
const createRegistry = () => {
  const manifests = new Set<string>()
  const blobs = new Set<string>()
  const tags = new Map<string, string>()
  const push = ({ what, tag, isTold }: Omit<Deed, 'deed' | 'cut'>): Wanted[] => {
    const { mediaType, entries, children, blobs: parts } = manifestNamed(what)
    const events = children.flatMap((child) =>
      manifests.has(child) ? [] : push({ what: child, tag: undefined, isTold }),
    )
    for (const name of parts) {
      // A client uploads what the repository lacks.
      const upload: Wanted = blobs.has(name) ? { action: 'pull', method: 'HEAD' } : {}
      events.push({ object: 'blob', digest: digestOf(name), size: 10, ...CI, ...upload })
      blobs.add(name)
    }
    manifests.add(what)
    if (tag !== undefined) tags.set(tag, what)
    const references = isTold && { references: entries }
    return [
      ...events,
      { object: 'manifest', digest: digestOf(what), mediaType, size: 500, ...CI, ...(tag && { tag }), ...references },
    ]
  }
  /** By tag if there is one, else by digest. */
  const requested = ({ what, tag }: Deed): { name: string; tag?: string } | undefined => {
    const tagged = tag === undefined ? undefined : tags.get(tag)
    if (tagged !== undefined && tag !== undefined) return { name: tagged, tag }
    return manifests.has(what) ? { name: what } : undefined
  }
  const request = (one: Deed, more: Wanted): Wanted[] => {
    const found = requested(one)
    if (found === undefined) return []
    const { mediaType, entries } = manifestNamed(found.name)
    const target = { object: 'manifest', digest: digestOf(found.name), mediaType, size: 500 } as const
    return [
      {
        ...{ action: 'pull', ...target, ...(found.tag !== undefined && { tag: found.tag }) },
        ...(one.isTold && { references: entries }),
        ...more,
      },
    ]
  }
  const untag = ({ tag = '1' }: Deed): Wanted[] => (tags.delete(tag) ? [{ action: 'delete', tag }] : [])
  const remove = ({ what }: Deed): Wanted[] => {
    if (!manifests.delete(what)) return []
    for (const [tag, digest] of tags) if (digest === what) tags.delete(tag)
    return [{ action: 'delete', digest: digestOf(what) }]
  }
  const there = (): (Manifest & { name: string })[] => [...manifests].map((name) => ({ name, ...manifestNamed(name) }))
  return {
    manifests,
    tags,
    act: (one: Deed): Wanted[] => {
      if (one.deed === 'push') return push(one)
      if (one.deed === 'pull') return request(one, NODE)
      if (one.deed === 'head') return request(one, { method: 'HEAD', ...NODE })
      if (one.deed === 'ask') return request(one, { method: 'HEAD', ...CI })
      if (one.deed === 'untag') return untag(one)
      return one.deed === 'delete' ? remove(one) : []
    },
    /** What a request of a node is for. */
    usedBy: (one: Deed): string | undefined =>
      one.deed === 'pull' || one.deed === 'head' ? requested(one)?.name : undefined,
    /**
     * Digests of blobs that a manifest has, and of manifests that a tag, an index, or a referrer's subject keeps. An index from before
     * the first event that no event showed and no tag leads to was not used since: what it lists is as unused.
     */
    needed: (shown: ReadonlySet<string>): Set<string> => {
      const keepers = [...manifests].filter((name) => shown.has(digestOf(name))).concat(...tags.values())
      // What a deleted index lists is reached through none.
      const listedBy = (name: string): string[] =>
        manifests.has(name) ? manifestNamed(name).children.flatMap((child) => [child, ...listedBy(child)]) : []
      const listed = keepers.flatMap(listedBy)
      const referring = there().filter(({ subject }) => subject !== undefined && manifests.has(subject))
      const names = [
        ...there().flatMap(({ blobs: parts }) => parts),
        ...listed,
        ...referring.map(({ name }) => name),
        ...tags.values(),
      ]
      return new Set(names.map(digestOf))
    },
    /** What breaks with a manifest that is deleted: the manifest itself, and the indexes that list it, however deep. */
    dependents: (name: string): Set<string> => {
      const broken = new Set([name])
      for (let before = 0; before < broken.size;) {
        before = broken.size
        for (const one of there()) if (one.children.some((child) => broken.has(child))) broken.add(one.name)
      }
      return broken
    },
    /** As the registry shows it to a reconcile. */
    shown: (): StubRegistry => {
      const registry = stubRegistry()
      const repository = registry.repository('team/app')
      for (const name of blobs) repository.blobs.set(digestOf(name), 10)
      for (const { name, mediaType, entries, subject } of there()) {
        const contents = { contents: entries, ...(subject !== undefined && { subject: digestOf(subject) }) }
        repository.manifests.set(digestOf(name), { digest: digestOf(name), mediaType, size: 500, ...contents })
      }
      for (const [tag, name] of tags) repository.tags.set(tag, digestOf(name))
      return registry
    },
  }
}

/** All that a manifest lists, however deep. */
const partsNamed = (name: string): string[] =>
  manifestNamed(name).children.flatMap((child) => [child, ...partsNamed(child)])

describe.each(STORE_PAIRS)('clean-up lists on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  /** The database, which fails after so many transactions. */
  const failing = (transactions: number): Database => {
    let begun = 0
    return {
      ...stores.database,
      transaction: async (work) =>
        begun++ < transactions ? stores.database.transaction(work) : Promise.reject(new Error('the disk is full')),
    }
  }
  const reconciled = async (registry: StubRegistry, cut: number, now: Date): Promise<unknown> =>
    reconcile(
      { database: cut === 5 ? stores.database : failing(cut), client: registry, now: () => now, toleranceMs: 0 },
      { registry: 'registry.example', apply: true, rate: 1_000_000, restart: true, force: true },
    ).catch((error: unknown) => error)

  test('contain nothing that is in use, whatever existed before and whatever is not reported', async () => {
    const offered = { 'orphaned-blobs': 0, 'untagged-manifests': 0, 'unused-images': 0, 'last-used': 0 }
    const check = async (
      { items }: Asking,
      registry: ReturnType<typeof createRegistry>,
      { used, shown }: Record<'used' | 'shown', ReadonlySet<string>>,
    ): Promise<void> => {
      const needed = registry.needed(shown)
      const isUsed = (name: string): boolean =>
        [...registry.dependents(name), ...partsNamed(name)].some((one) => used.has(one))
      for (const question of ['orphaned-blobs', 'untagged-manifests'] as const) {
        const listed = (await items(question)).map(({ digest }) => short(digest))
        const wrong = listed.filter((name) => needed.has(digestOf(name)) || (name in MANIFESTS && isUsed(name)))
        expect([question, wrong]).toEqual([question, []])
        offered[question] += listed.length
      }
      for (const question of ['unused-images', 'last-used'] as const) {
        const listed = await items(question, { unused_for: '90d' })
        const wrong = listed.filter(({ digest }) => isUsed(short(digest)))
        expect([question, wrong]).toEqual([question, []])
        offered[question] += listed.length
      }
    }
    await fc.assert(
      fc.asyncProperty(
        fc.array(deed, { maxLength: 6 }),
        fc.array(deed, { minLength: 1, maxLength: 12 }),
        fc.array(deed, { maxLength: 6 }),
        async (before, deeds, later) => {
          await stores.clear()
          const asking = createAsking(stores, NOW)
          const registry = createRegistry()
          for (const one of before) registry.act(one)
          const old = new Set(registry.manifests)
          const used = new Set<string>()
          const shown = new Set<string>()
          const happen = async (some: readonly Deed[], start: Date, isLately: boolean): Promise<void> => {
            let minute = 0
            const now = (): Date => new Date(start.getTime() + minute++ * 60_000)
            for (const one of some) {
              // What was there before the first event, and is pushed again, looks as if it were new.
              if (one.deed === 'push' && old.has(one.what)) continue
              const name = registry.usedBy(one)
              if (name !== undefined && isLately) used.add(name)
              for (const event of registry.act(one)) {
                if (event.digest !== undefined) shown.add(event.digest)
                await asking.ingest({ ...event, at: now().toISOString() })
              }
              if (one.deed === 'reconcile') await reconciled(registry.shown(), one.cut, now())
              if (one.deed === 'settle') await settleChecks(stores.database, new Date(NOW.getTime() + 3_600_000))
              if (one.deed === 'summary') await asking.summary()
            }
          }
          await happen(deeds, new Date('2026-06-01T00:00:00Z'), false)
          await asking.summary()
          await happen(later, new Date('2026-11-20T00:00:00Z'), true)
          await check(asking, registry, { used, shown })
          await asking.summary()
          await check(asking, registry, { used, shown })
        },
      ),
      { ...runsOn(stores.database, { postgresql: 30, pglite: 10 }), examples: [[[], FOR_EACH_LIST, []]] },
    )
    for (const rows of Object.values(offered)) expect(rows).toBeGreaterThan(0)
  })
})

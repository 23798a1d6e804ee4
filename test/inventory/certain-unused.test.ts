import { describe, expect, test } from '@jest/globals'
import type { Descriptor } from '../../src/events/descriptor.js'
import { mergeAliases } from '../../src/inventory/record/merge-aliases.js'
import { moveRepository } from '../../src/inventory/record/move-repository.js'
import { settleChecks } from '../../src/inventory/record/settle-checks.js'
import { reconcile } from '../../src/inventory/reconcile/reconcile.js'
import { WINDOWS } from '../../src/pulls/model/join-windows.js'
import { foldPending } from '../../src/pulls/fold-job/fold-pending.js'
import type { Database } from '../../src/storage/sql/database.js'
import { blob, createAsking, OCI_LAYER, short, useAsking, type Asking, type Wanted } from '../servers/asking.js'
import { digestOf } from '../servers/history.js'
import { OCI_CONFIG, OCI_IMAGE, OCI_INDEX } from '../servers/manifests.js'
import { STORE_PAIRS } from '../servers/stores.js'
import { put, stubRegistry, type StubRegistry } from '../servers/stub-registry.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const OLD = '2026-01-10T10:00:00Z'
/** Longer ago than the 30 days in which a pull by digest keeps a manifest. */
const SEPTEMBER = '2026-09-18T10:00:00Z'
const YESTERDAY = '2026-11-26T10:00:00Z'
/** Within the 15 minutes in which a HEAD may still be part of a push. */
const JUST_NOW = '2026-11-27T11:55:00Z'
const NODE = { address: '192.0.2.9', userAgent: 'containerd/v1.7.21' }
const SCANNER = { address: '192.0.2.5', userAgent: 'trivy/0.50.1' }

const part = (name: string, mediaType: string): Descriptor => ({ digest: digestOf(name), mediaType, size: 10 })
const layers = (...names: string[]): Descriptor[] => [
  part('c1', OCI_CONFIG),
  ...names.map((name) => part(name, OCI_LAYER)),
]
const manifest = (name: string, more: Wanted = {}): Wanted => ({
  ...{ object: 'manifest', digest: digestOf(name), mediaType: OCI_IMAGE, size: 500, references: layers('b1'), at: OLD },
  ...more,
})
const index = (name: string, listed: Descriptor[], more: Wanted = {}): Wanted =>
  manifest(name, { mediaType: OCI_INDEX, references: listed, ...more })
const pull = { action: 'pull', ...NODE } as const
const head = { action: 'pull', method: 'HEAD', ...NODE } as const
const remove = (name: string, at: string): Wanted => ({ action: 'delete', digest: digestOf(name), at })

describe.each(STORE_PAIRS)('what may be in use is not listed as unused, on %s', (_, open) => {
  const { stores, asking, startAnew } = useAsking(open, NOW)
  const untagged = async (parameters: object = {}): Promise<string[]> =>
    asking.digests('untagged-manifests', parameters)
  /** By both questions, which never differ. */
  const unusedTags = async (parameters: object = {}): Promise<unknown[]> => {
    const asked = { unused_for: '90d', ...parameters }
    const tags = (await asking.items('unused-images', asked)).map(({ tag }) => tag).sort()
    expect((await asking.items('last-used', asked)).map(({ tag }) => tag).sort()).toEqual(tags)
    return tags
  }
  const repaired = async (
    registry: StubRegistry,
    { cache = false, database = stores.database }: { cache?: boolean; database?: Database } = {},
  ): Promise<{ failed: number }> =>
    reconcile(
      { database, client: registry, now: () => NOW },
      { registry: 'registry.example', apply: true, rate: 1_000_000, cache },
    )
  const fold = async (): Promise<void> =>
    foldPending({
      ...{ database: stores.database, windows: WINDOWS, lateness: 0, now: () => NOW },
      onFolded: async () => Promise.resolve(),
    })

  describe('a manifest that was there before the first event', () => {
    const contents = layers('b1')
    const withTag = (...untaggedOnes: string[]): StubRegistry => {
      const registry = stubRegistry()
      for (const name of untaggedOnes)
        put(registry.repository('team/app'), { digest: digestOf(name), mediaType: OCI_IMAGE, size: 500, contents })
      put(registry.repository('team/app'), { digest: digestOf('a1'), mediaType: OCI_IMAGE, size: 500, contents }, 'v1')
      return registry
    }

    test('may have a tag that no event showed, whoever asked for the manifest', async () => {
      await asking.ingest(
        manifest('a1', { ...head, at: SEPTEMBER, tag: 'latest' }),
        manifest('a2', { at: SEPTEMBER, tag: 'latest' }),
      )
      expect(await untagged()).toEqual([])
      await settleChecks(stores.database, NOW)
      expect(await untagged()).toEqual([])
      expect(await untagged({ unused_for: '30d' })).toEqual([])
    })

    test('may have one wherever a repair breaks off', async () => {
      const registry = withTag()
      // Enough blobs and manifests for several parts of a repair.
      for (let i = 0; i < 450; i++) {
        const name = `e${i.toString(16)}`
        const one = { digest: digestOf(name), mediaType: OCI_IMAGE, size: 20, contents: [part(`b${name}`, OCI_LAYER)] }
        put(registry.repository('team/app'), one, name)
      }
      let isRepaired = false
      let last = 0
      while (!isRepaired) {
        last++
        await startAnew()
        await asking.ingest(manifest('a1', { ...pull, at: SEPTEMBER }))
        let before = 0
        const database: Database = {
          ...stores.database,
          transaction: async (work) =>
            ++before > last ? Promise.reject(new Error('the disk is full')) : stores.database.transaction(work),
        }
        const { failed } = await repaired(registry, { database }).catch(() => ({ failed: 1 }))
        expect(await untagged()).toEqual([])
        isRepaired = failed === 0
      }
      expect(last).toBeGreaterThan(4)
    })

    test('is listed once reconcile has stored all tags, and none points to it', async () => {
      await asking.ingest(manifest('a1', { ...pull, at: SEPTEMBER }), manifest('a2', { ...pull, at: YESTERDAY }))
      await repaired(withTag('a2'))
      expect(await untagged()).toEqual([])
      await asking.ingest({ action: 'delete', tag: 'v1', at: '2026-11-27T12:00:00Z' })
      expect(await untagged()).toEqual(['a1'])
    })

    test('is not, if reconcile was not allowed to ask for the tags, as in a cache', async () => {
      await asking.ingest(manifest('a1', { ...pull, at: SEPTEMBER }))
      await repaired(withTag(), { cache: true })
      expect(await untagged()).toEqual([])
    })

    test('may have been pulled until the first event: 30 days pass first', async () => {
      await asking.ingest(manifest('a2', { at: '2026-11-20T10:00:00Z' }))
      await repaired(withTag('a2'))
      await asking.ingest({ action: 'delete', tag: 'v1', at: '2026-11-27T12:00:00Z' })
      // The registry sends an event each week.
      const heardOn = async (day: string, id: number): Promise<Asking> => {
        const at = `${day}T12:00:00Z`
        const then = createAsking(stores, new Date(at))
        await then.ingest(blob(`b${id}`, { id, at, repository: 'other' }))
        return then
      }
      for (const [i, day] of ['2026-12-03', '2026-12-09', '2026-12-15'].entries()) await heardOn(day, 901 + i)
      const later = await heardOn('2026-12-20', 905)
      expect((await later.items('untagged-manifests')).map(({ digest }) => short(digest))).toEqual(['a2'])
      await heardOn('2026-12-26', 906)
      const muchLater = await heardOn('2026-12-29', 907)
      expect(await muchLater.items('untagged-manifests')).toHaveLength(2)
    })

    test('is known by the rename that merges two repositories only if both were reconciled', async () => {
      await asking.ingest(
        manifest('a1', { ...pull, at: SEPTEMBER, repository: 'old' }),
        manifest('a2', { at: SEPTEMBER }),
      )
      await repaired(withTag('a2'))
      const repository = (name: string) => ({ registry: 'registry.example', name })
      await moveRepository(stores.database, {
        ...{ from: repository('old'), to: repository('team/app'), until: Date.parse('2026-11-27T11:59:00Z') * 1000 },
      })
      await asking.ingest({ action: 'delete', tag: 'v1', at: '2026-11-27T12:00:00Z' })
      expect(await untagged()).toEqual(['a2'])
    })
  })

  describe('a blob', () => {
    const reused = async (): Promise<void> =>
      asking.ingest(
        blob('b1', { action: 'pull', method: 'HEAD', at: '2026-11-18T10:00:00Z' }),
        blob('b2', { at: '2026-11-18T10:00:00Z' }),
        manifest('a9', {
          at: '2026-11-18T10:01:00Z',
          tag: 'x',
          references: [part('b1', OCI_LAYER), part('b2', OCI_LAYER)],
        }),
        remove('a9', '2026-11-19T10:00:00Z'),
      )

    test('that was there before the first event may be of a manifest without a tag, which reconcile cannot see', async () => {
      await reused()
      const registry = stubRegistry()
      const old = { digest: digestOf('a0'), mediaType: OCI_IMAGE, size: 20, contents: [part('b1', OCI_LAYER)] }
      put(registry.repository('team/app'), old)
      registry.repository('team/app').blobs.set(digestOf('b2'), 10)
      await repaired(registry)
      await asking.summary()
      expect(await asking.digests('orphaned-blobs')).toEqual(['b2'])
      expect((await asking.answer('orphaned-blobs')).unknown).toEqual({ blobs: 1 })
    })

    test.each<[string, Wanted[], Wanted[]]>([
      [
        'a manifest that lives again',
        [manifest('a9', { references: layers('b2') }), remove('a9', SEPTEMBER)],
        [manifest('a9', { ...pull, tag: 'x', at: YESTERDAY, references: layers('b2') })],
      ],
      [
        'an index that lives again',
        [index('a9', [part('b2', OCI_LAYER)]), remove('a9', SEPTEMBER)],
        [index('a9', [part('b2', OCI_LAYER)], { ...pull, at: YESTERDAY })],
      ],
      [
        'an image that no event showed there, and an index lists',
        [manifest('a9', { repository: 'other', references: layers('b2') })],
        [index('a8', [part('a9', OCI_IMAGE)], { at: YESTERDAY, tag: 'x' })],
      ],
      [
        'a manifest of unknown contents without a tag',
        [manifest('a9', { repository: 'other', references: [] }), remove('a7', SEPTEMBER)],
        [{ object: 'manifest', digest: digestOf('a7'), mediaType: OCI_IMAGE, size: 500, at: SEPTEMBER, ...pull }],
      ],
    ])('of %s is none of those that the last summary found', async (_name, before, after) => {
      await asking.ingest(blob('b2', { at: OLD }), ...before)
      await asking.summary()
      expect(await asking.digests('orphaned-blobs', { repository: 'team/app' })).toEqual(['b2'])
      await asking.ingest(...after.map((one) => ({ ...one, at: '2026-11-27T11:00:00Z' })))
      expect(await asking.digests('orphaned-blobs', { repository: 'team/app' })).toEqual([])
    })
  })

  describe('an image that an index needs', () => {
    test('as long as the index is asked for, at any depth; other images of the repository are listed', async () => {
      const list = [part('d1', OCI_INDEX), part('a2', OCI_IMAGE)]
      await asking.ingest(
        ...['a1', 'a2', 'a3'].map((name) => manifest(name, { tag: `${name}-arm64` })),
        index('d1', [part('a1', OCI_IMAGE)]),
        index('d2', list, { tag: '2' }),
      )
      expect(await unusedTags()).toEqual(['2', 'a1-arm64', 'a2-arm64', 'a3-arm64'])
      await asking.ingest(index('d2', list, { ...head, at: JUST_NOW }))
      expect(await unusedTags()).toEqual(['a3-arm64'])
      await settleChecks(stores.database, new Date(NOW.getTime() + 3_600_000))
      expect(await unusedTags()).toEqual(['a3-arm64'])
      await asking.ingest(remove('d2', '2026-11-27T11:59:00Z'))
      expect(await unusedTags()).toEqual(['a1-arm64', 'a2-arm64', 'a3-arm64'])
    })

    test('as long as a push changes the index, and not if the same index is pushed again', async () => {
      const list = [part('a1', OCI_IMAGE)]
      await asking.ingest(
        manifest('a1', { tag: '1-arm64' }),
        index('d1', list, { tag: '1' }),
        index('d1', list, { tag: '1', at: YESTERDAY }),
      )
      expect(await unusedTags()).toEqual(['1', '1-arm64'])
      await asking.ingest(index('d1', list, { tag: 'stable', at: YESTERDAY }))
      expect(await unusedTags()).toEqual([])
    })

    test('not for clients that do not count', async () => {
      await asking.ingest(
        manifest('a1', { tag: '1-arm64' }),
        index('d1', [part('a1', OCI_IMAGE)], { tag: '1' }),
        index('d1', [part('a1', OCI_IMAGE)], { ...pull, ...SCANNER, tag: '1', at: YESTERDAY }),
      )
      expect(await unusedTags({ without_kind: 'scanner' })).toEqual([])
      await fold()
      expect(await unusedTags()).toEqual([])
      expect(await unusedTags({ without_kind: 'scanner' })).toEqual(['1', '1-arm64'])
      expect(await unusedTags({ without_kind: 'mirror' })).toEqual([])
    })

    test('may be any of the repository, if it is unknown what the index lists', async () => {
      const unread = { object: 'manifest', digest: digestOf('d1'), mediaType: OCI_INDEX, size: 500 } as const
      await asking.ingest(manifest('a1', { tag: '1-arm64' }), manifest('a1', { repository: 'other', tag: '1-arm64' }), {
        ...unread,
        tag: '1',
        at: OLD,
      })
      expect(await unusedTags()).toEqual(['1-arm64', '1-arm64'])
      await asking.ingest({ ...unread, ...pull, tag: '1', at: YESTERDAY })
      expect(await unusedTags({ repository: 'team/app' })).toEqual([])
      expect(await unusedTags({ repository: 'other' })).toEqual(['1-arm64'])
    })
  })

  test('an index that no event showed may list images that are in use', async () => {
    await asking.ingest(
      index('d2', [part('d1', OCI_INDEX)], { tag: 'nested' }),
      manifest('a1', { tag: '1' }),
      manifest('a2'),
    )
    // The tag of the outer index is not listed; before any summary, nothing without a tag is.
    expect(await unusedTags()).toEqual(['1'])
    expect(await untagged()).toEqual([])
    // Its contents are known from another repository.
    await asking.ingest(index('d1', [part('a1', OCI_IMAGE)], { repository: 'other' }))
    expect(await unusedTags({ repository: 'team/app' })).toEqual(['1', 'nested'])
    expect(await asking.digests('untagged-manifests', { repository: 'team/app' })).toEqual(['a2'])
    await asking.ingest(index('d2', [part('d1', OCI_INDEX)], { ...pull, at: YESTERDAY }))
    expect(await unusedTags({ repository: 'team/app' })).toEqual([])
  })

  test('a manifest without a tag that an unheard index lists is needed', async () => {
    await asking.ingest(
      index('d1', [part('a1', OCI_IMAGE)], { repository: 'other' }),
      index('d2', [part('d1', OCI_INDEX)], { tag: 'nested' }),
      manifest('a1'),
      manifest('a2'),
    )
    expect(await asking.digests('untagged-manifests', { repository: 'team/app' })).toEqual(['a2'])
    await asking.summary()
    expect(await asking.digests('untagged-manifests', { repository: 'team/app' })).toEqual(['a2'])
  })

  test('a manifest without a tag is used by checks of the last minutes and through its parts', async () => {
    await asking.ingest(manifest('a1'), manifest('a2'), index('d1', [part('a2', OCI_IMAGE)]), manifest('a3'))
    expect(await untagged()).toEqual(['a1', 'a3', 'd1'])
    await asking.ingest(manifest('a1', { ...head, at: JUST_NOW }), manifest('a2', { ...pull, at: YESTERDAY }))
    expect(await untagged()).toEqual(['a3'])
    expect(await untagged({ unused_for: '30d' })).toEqual(['a3'])
  })

  test('uses under an alias count while the data of the alias moves', async () => {
    const alias = 'alias.example'
    await asking.ingest(
      manifest('a1', { registry: alias, tag: '1' }),
      manifest('a1', { registry: alias, ...pull, tag: '1', at: '2026-11-10T10:00:00Z' }),
    )
    const scanned = ['1', '2'].map((tag) => manifest(`a${tag}`, { ...pull, ...SCANNER, tag, at: YESTERDAY }))
    await asking.ingest(manifest('a2', { registry: alias, tag: '2' }), ...scanned)
    await fold()
    // Not folded yet, and older than what was folded under the name.
    await asking.ingest(manifest('a2', { registry: alias, ...pull, tag: '2', at: '2026-11-10T10:00:00Z' }))
    await mergeAliases(stores.database, new Map([[alias, 'registry.example']]))
    expect(await unusedTags({ without_kind: 'scanner' })).toEqual([])
    expect(await unusedTags({ without_kind: 'scanner,runtime' })).toEqual([])
    await fold()
    expect(await unusedTags({ without_kind: 'scanner' })).toEqual([])
    expect(await unusedTags({ without_kind: 'scanner,runtime' })).toEqual(['1', '2'])
  })
})

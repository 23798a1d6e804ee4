import { describe, expect, test } from '@jest/globals'
import type { Descriptor } from '../../src/events/descriptor.js'
import { blob, OCI_LAYER, short, useAsking, type Wanted } from '../servers/asking.js'
import { digestOf } from '../servers/history.js'
import { OCI_CONFIG, OCI_IMAGE, OCI_INDEX } from '../servers/manifests.js'
import { STORE_PAIRS } from '../servers/stores.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const FOREIGN = [
  'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd',
]

const part = (name: string, mediaType: string, size = 10): Descriptor => ({ digest: digestOf(name), mediaType, size })
const child = (name: string, architecture: string, mediaType = OCI_IMAGE): Descriptor => ({
  ...part(name, mediaType, 20),
  platform: { os: 'linux', architecture },
})
const manifest = (name: string, references: Descriptor[], more: Wanted = {}): Wanted => ({
  object: 'manifest',
  digest: digestOf(name),
  mediaType: OCI_IMAGE,
  size: 20,
  references,
  ...more,
})
const index = (name: string, references: Descriptor[], more: Wanted = {}): Wanted =>
  manifest(name, references, { mediaType: OCI_INDEX, ...more })
const image = (name: string, more: Wanted = {}): Wanted =>
  manifest(name, [part(`c${name}`, OCI_CONFIG), part(`b${name}`, OCI_LAYER)], more)
const deleted = (name: string, more: Wanted = {}): Wanted => ({
  action: 'delete',
  digest: digestOf(name),
  at: '2026-11-19T10:00:00Z',
  ...more,
})

describe.each(STORE_PAIRS)('parts of images on %s', (_, open) => {
  const { stores, asking } = useAsking(open, NOW)
  const missing = async (): Promise<unknown[]> => {
    await asking.summary()
    return found()
  }
  const found = async (): Promise<unknown[]> =>
    (await asking.items('missing-blobs')).map((one) => [
      short(one.manifest_digest),
      short(one.blob_digest),
      one.part,
      one.architecture,
      one.tag_names,
    ])

  describe('that are missing', () => {
    const both = [child('a1', 'amd64'), child('a2', 'arm64')]

    test('a manifest that an index lists, with the tags that it breaks', async () => {
      await asking.ingest(
        image('a1'),
        image('a2'),
        index('a5', both, { tag: '1' }),
        index('a5', both, { tag: 'latest' }),
      )
      expect(await missing()).toEqual([])
      await asking.ingest(deleted('a2'))
      expect(await missing()).toEqual([['a5', 'a2', 'manifest', 'arm64', '1, latest']])
      expect(await asking.items('missing-blobs')).toMatchObject([{ tags: 2, size: 20 }])
      // It comes back after the summary was made.
      await asking.ingest(image('a2', { at: '2026-11-20T10:00:00Z' }))
      expect(await found()).toEqual([])
    })

    test('a blob of an image of an index: the image and the index lack it', async () => {
      await asking.ingest(image('a1'), image('a2'), index('a5', both, { tag: '1' }), deleted('ba1'))
      expect(await missing()).toEqual([
        ['a1', 'ba1', 'blob', null, null],
        ['a5', 'ba1', 'blob', 'amd64', '1'],
      ])
    })

    test('a manifest of an index in an index', async () => {
      const outer = index('a6', [child('a5', 'amd64', OCI_INDEX)], { tag: '1' })
      await asking.ingest(image('a1'), image('a2'), index('a5', both), outer, deleted('a1'))
      expect(await missing()).toEqual([
        ['a5', 'a1', 'manifest', 'amd64', null],
        ['a6', 'a1', 'manifest', 'amd64', '1'],
      ])
    })

    test('nothing that was never seen, that is in another repository, or of an index that was deleted', async () => {
      await asking.ingest(image('a1'), index('a5', both, { tag: '1' }), image('a1', { repository: 'other' }))
      await asking.ingest(deleted('a1', { repository: 'other' }))
      expect(await missing()).toEqual([])
      await asking.ingest(deleted('a1'), deleted('a5'))
      expect(await missing()).toEqual([])
    })
  })

  test('of an index that a list calls an image are said to be unknown', async () => {
    await asking.ingest(
      image('a1'),
      index('2d', [part('a1', OCI_IMAGE)]),
      index('1d', [part('2d', OCI_IMAGE)], { tag: '1' }),
    )
    const tree = await asking.items('tree', { repository: 'team/app', reference: '1' })
    expect(tree.map(({ digest, part: what, contents }) => [short(digest), what, contents])).toEqual([
      ['1d', 'index', 'known'],
      ['2d', 'index', 'unknown'],
    ])
  })

  describe.each(FOREIGN)('of the type %s', (type) => {
    const references = [part('c1', OCI_CONFIG, 5), part('f1', type, 9000), part('b1', OCI_LAYER, 100)]
    const size = async (): Promise<unknown> => (await asking.items('images', { repository: 'team/app' }))[0]?.size
    const present = async (): Promise<unknown> =>
      (await asking.items('tree', { repository: 'team/app', reference: '1' })).find(
        ({ digest }) => short(digest) === 'f1',
      )?.present

    test('are kept elsewhere, as long as no event shows them here', async () => {
      await asking.ingest(manifest('a1', references, { tag: '1' }), blob('f1', { repository: 'other' }))
      await asking.summary()
      expect(await size()).toBe(125)
      expect(await present()).toBe('elsewhere')
      expect(await asking.items('repositories', { repository: 'team/app' })).toMatchObject([{ blobs: 2, bytes: 105 }])
      expect(await missing()).toEqual([])
    })

    test.each([
      ['pushed', blob('f1', { size: 9000 })],
      ['mounted', blob('f1', { size: 9000, action: 'mount' })],
      ['pulled', blob('f1', { size: 9000, action: 'pull' })],
    ])('are here where they were %s, before their manifest or after it', async (_what, shown) => {
      const pushed = manifest('a1', references, { tag: '1' })
      for (const events of [
        [shown, pushed],
        [pushed, shown],
      ]) {
        await stores.clear()
        await asking.ingest(...events)
        await asking.summary()
        expect(await size()).toBe(9125)
        expect(await present()).toBe('yes')
        expect(await asking.items('repositories')).toMatchObject([{ blobs: 3, bytes: 9105 }])
        expect(await asking.items('orphaned-blobs')).toEqual([])
        await asking.ingest(deleted('f1'))
        expect(await missing()).toEqual([['a1', 'f1', 'blob', null, '1']])
      }
    })
  })

  test('of a type that only has the word foreign in its name are here', async () => {
    await asking.ingest(
      manifest('a1', [part('c1', OCI_CONFIG, 5), part('b1', 'application/vnd.example.foreign-keys', 100)]),
    )
    await asking.summary()
    expect(await asking.items('totals')).toMatchObject([{ blobs: 2, bytes: 105 }])
  })
})

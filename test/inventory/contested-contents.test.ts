import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import type { RegistryEvent } from '../../src/events/registry-event.js'
import type { Descriptor } from '../../src/events/descriptor.js'
import { learnManifest } from '../../src/inventory/record/learn-manifest.js'
import { mergeAliases } from '../../src/inventory/record/merge-aliases.js'
import { retractEntries } from '../../src/inventory/record/retract-entries.js'
import type { FetchedManifest } from '../../src/registries/client/registry-client.js'
import { blob, createAsking, short, type Asking, type Wanted } from '../servers/asking.js'
import { createCounting } from '../servers/counting.js'
import { anEvent } from '../servers/events.js'
import { digestOf } from '../servers/history.js'
import { OCI_IMAGE, OCI_INDEX } from '../servers/manifests.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const OLD = '2026-09-01T10:00:00Z'
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'
const B = { registry: 'b.example', repository: 'mallory/app' }

const part = (name: string, mediaType = LAYER, size = 100): Descriptor => ({ digest: digestOf(name), mediaType, size })
const manifest = (name: string, more: Wanted = {}): Wanted => ({
  object: 'manifest',
  digest: digestOf(name),
  mediaType: OCI_IMAGE,
  size: 500,
  at: OLD,
  ...more,
})
const index = (name: string, more: Wanted = {}): Wanted => manifest(name, { mediaType: OCI_INDEX, ...more })
const without = (wanted: Wanted): Wanted =>
  Object.fromEntries(Object.entries(wanted).filter(([key]) => key !== 'mediaType'))

describe.each(STORE_PAIRS)('contents that two events state differently, on %s', (_, open) => {
  let stores: TestStores
  let asking: Asking
  let id: number
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => {
    await stores.clear()
    asking = createAsking(stores, NOW)
    id = 1000
  })

  type Delivery = (...wanted: Wanted[]) => Promise<void>
  const inOneBatch: Delivery = async (...wanted) => {
    await createCounting(stores, () => NOW).ingest(wanted.map((one) => anEvent({ id: ++id, ...one })))
  }
  const byTwoProcesses: Delivery = async (...wanted) => {
    for (const one of wanted) await createCounting(stores, () => NOW).ingest([anEvent({ id: ++id, ...one })])
  }
  const one =
    (deliver: Delivery): Delivery =>
    (...wanted) =>
      deliver(...wanted)
  const swapped =
    (deliver: Delivery): Delivery =>
    (...wanted) =>
      deliver(...wanted.toReversed())
  const again =
    (deliver: Delivery): Delivery =>
    async (...wanted) => {
      await deliver(...wanted)
      await deliver(...wanted)
      await deliver(...wanted.toReversed())
    }
  const byOneProcess: Delivery = async (...wanted) => asking.ingest(...wanted)
  const DELIVERIES = [
    ['one by one', one(byOneProcess)],
    ['in another order', swapped(byOneProcess)],
    ['in one batch', one(inOneBatch)],
    ['in one batch in another order', swapped(inOneBatch)],
    ['at several processes', one(byTwoProcesses)],
    ['again and again', again(byOneProcess)],
  ] as const

  const orphans = async (): Promise<string[]> => {
    await asking.summary()
    return asking.digests('orphaned-blobs', { registry: 'registry.example' })
  }
  const unused = async (): Promise<(string | undefined)[]> => {
    await asking.summary()
    const asked = { unused_for: '30d', registry: 'registry.example' }
    const images = await asking.items('unused-images', asked)
    const tags = await asking.items('last-used', asked)
    return [...images, ...tags].map(({ tag }) => String(tag))
  }
  const learn = async (read: Omit<FetchedManifest, 'digest'> & { name: string }): Promise<void> => {
    const { name, ...fetched } = read
    await stores.database.transaction(async (tx) => learnManifest(tx, { ...fetched, digest: digestOf(name) }))
  }
  const rows = async (): Promise<unknown[]> =>
    (
      await sql<{ digest: string }>`
        select digest, contested, contents_known, media_type, size::int, next_attempt_at is not null as due,
          array(select b.digest from inventory.manifest_blobs b where b.manifest_digest = m.digest order by position)
          || array(select c.digest from inventory.manifest_children c where c.manifest_digest = m.digest order by position) as list
        from inventory.manifests m where digest in (${digestOf('d')}, ${digestOf('i')})
      `.execute(stores.database.sql)
    ).rows
  const A = { registry: 'registry.example' }
  const CONTESTED = { contested: true, contents_known: false, media_type: null, size: null, due: true, list: [] }

  describe.each(DELIVERIES)('%s', (__, deliver) => {
    const layer = blob('l1', { at: OLD })
    const pushOfA = manifest('d', { tag: 'prod', references: [part('l1')] })

    test('of an image: none of the blobs of its repository is orphaned until a registry shows it', async () => {
      await deliver(manifest('d', { ...B, references: [part('f1')] }), layer, pushOfA)
      expect(await orphans()).toEqual([])
      expect(await rows()).toEqual([{ digest: digestOf('d'), ...CONTESTED }])
      await asking.ingest(blob('l2', { at: OLD }))
      await learn({ name: 'd', mediaType: OCI_IMAGE, size: 500, contents: [part('l1')] })
      const proven = { digest: digestOf('d'), contested: false, contents_known: true, media_type: OCI_IMAGE, size: 500 }
      expect(await rows()).toMatchObject([{ ...proven, list: [digestOf('l1')] }])
      expect(await orphans()).toEqual(['l2'])
      await deliver(manifest('d', { ...B, size: 7, references: [part('f1'), part('f2')] }), index('d', B))
      expect(await rows()).toMatchObject([{ ...proven, list: [digestOf('l1')] }])
      expect(await orphans()).toEqual(['l2'])
    })

    test('a list that is longer, or has an entry of another media type or size', async () => {
      await deliver(manifest('d', { ...B, references: [part('l1'), part('f1')] }), layer, pushOfA)
      expect(await rows()).toEqual([{ digest: digestOf('d'), ...CONTESTED }])
      expect(await orphans()).toEqual([])
    })

    test.each([
      ['an entry of another media type', { references: [part('l1', OCI_IMAGE)] }],
      ['an entry of another size', { references: [part('l1', LAYER, 99)] }],
      ['another size', { size: 501, references: [part('l1')] }],
      ['the media type of an index', { mediaType: OCI_INDEX, references: [part('l1')] }],
      ['an index, and no list', { mediaType: OCI_INDEX }],
      ['an index that lists nothing', { mediaType: OCI_INDEX, size: 90, references: [] }],
    ])('%s', async (___, lie) => {
      await deliver(manifest('d', { ...B, ...lie }), layer, pushOfA)
      expect(await rows()).toEqual([{ digest: digestOf('d'), ...CONTESTED }])
    })

    test('the list of an index without its media type contradicts the type of an image, not that of an index', async () => {
      const references = [part('c', OCI_IMAGE)]
      const untyped = without(index('i', { ...B, references }))
      await deliver(untyped, index('i', { tag: 'prod', references }))
      expect(await rows()).toMatchObject([{ contested: false, contents_known: true, media_type: OCI_INDEX }])
      await deliver(manifest('i', { tag: 'prod' }))
      expect(await rows()).toEqual([{ digest: digestOf('i'), ...CONTESTED }])
    })

    test('of an index: its tag is in use while somebody pulls an image of it by digest', async () => {
      const pulled = manifest('c', { action: 'pull', references: [part('l1')], at: '2026-11-27T11:00:00Z' })
      const prod = index('i', { tag: 'prod', references: [part('c', OCI_IMAGE)] })
      await deliver(index('i', { ...B, references: [part('f', OCI_IMAGE)] }), prod, pulled)
      expect(await unused()).toEqual([])
      expect(await rows()).toEqual([{ digest: digestOf('i'), ...CONTESTED }])
      await learn({ name: 'i', mediaType: OCI_INDEX, size: 500, contents: [part('c', OCI_IMAGE)] })
      expect(await unused()).toEqual([])
      await learn({ name: 'i', mediaType: OCI_INDEX, size: 500, contents: [part('z', OCI_IMAGE)] })
      await learn({ name: 'z', mediaType: OCI_IMAGE, size: 500, contents: [part('l1')] })
      expect(await unused()).toEqual(['prod', 'prod'])
    })

    test('the kind of an index whose contents are unknown', async () => {
      await deliver(manifest('i', B), index('i', { tag: 'prod' }))
      expect(await unused()).toEqual([])
      expect(await rows()).toEqual([{ digest: digestOf('i'), ...CONTESTED }])
    })

    describe('that only another registry stated', () => {
      const silent = manifest('d', { ...A, tag: 'v1' })
      const layers = [blob('l1', { ...A, at: OLD, size: 7777 }), blob('c1', { ...A, at: OLD, size: 111 })]
      const config = part('other', 'application/vnd.oci.image.config.v1+json', 9)
      const untagged = async (): Promise<string[]> => {
        await asking.summary()
        return asking.digests('untagged-manifests', { registry: 'registry.example' })
      }

      test('no blob of an image of the registry is orphaned, until the registry states the list', async () => {
        await deliver(manifest('d', { ...B, action: 'pull', references: [config] }), ...layers, silent)
        expect(await orphans()).toEqual([])
        expect(await asking.items('missing-blobs')).toEqual([])
        expect((await asking.answer('orphaned-blobs', A)).unknown).toEqual({ contents: 1, blobs: 2 })
        expect((await asking.answer('blobs', A)).items).toHaveLength(2)
        expect((await asking.answer('orphaned-blobs', { registry: 'b.example' })).unknown).toBeUndefined()
        await deliver(manifest('d', { ...A, references: [config] }))
        expect(await orphans()).toEqual(['c1', 'l1'])
      })

      test('no manifest that an index of the registry may list is untagged', async () => {
        const image = { references: [part('ic', 'application/vnd.oci.image.config.v1+json'), part('l1')] }
        const member = manifest('m', { ...A, ...image })
        const kind = 'application/vnd.oci.image.manifest.v1+json'
        await deliver(
          manifest('other', { ...B, ...image }),
          index('i', { ...B, references: [part('other', kind)] }),
          index('i', { ...A, tag: 'prod' }),
          member,
        )
        expect(await untagged()).toEqual([])
        await deliver(manifest('other', { ...A, ...image }), index('i', { ...A, references: [part('other', kind)] }))
        expect(await untagged()).toEqual(['m'])
      })

      test('a media type of another registry does not make an image of what may be an index', async () => {
        const image = { references: [part('ic', 'application/vnd.oci.image.config.v1+json'), part('l1')] }
        await deliver(
          manifest('i', B),
          without(manifest('i', { ...A, tag: 'prod' })),
          manifest('m', { ...A, ...image }),
        )
        expect(await untagged()).toEqual([])
      })

      const typeIn = async (asked: { registry: string }): Promise<unknown[]> =>
        (await asking.items('manifests', asked)).map(({ media_type }) => media_type)

      test.each(['application/vnd.a+json', 'application/vnd.z+json'])(
        'another media type of the same kind, %s, replaces none that the registry stated',
        async (mediaType) => {
          const references = [part('l1')]
          await deliver(manifest('d', { ...B, mediaType, references }), manifest('d', { ...A, references }))
          expect(await rows()).toMatchObject([{ contested: false, contents_known: true }])
          const greatest = mediaType > OCI_IMAGE ? mediaType : OCI_IMAGE
          expect(await typeIn(A)).toEqual([greatest === OCI_IMAGE ? OCI_IMAGE : null])
          expect(await typeIn({ registry: B.registry })).toEqual([greatest === mediaType ? mediaType : null])
        },
      )

      test('a media type is not shown in a registry that stated none', async () => {
        const references = [part('c', OCI_IMAGE)]
        await deliver(index('i', { ...B, references }), without(manifest('i', { ...A, tag: 'prod' })))
        expect(await typeIn(A)).toEqual([null])
        const [root] = await asking.items('tree', { ...A, repository: 'team/app', reference: 'prod' })
        expect(root).toMatchObject({ part: 'manifest', media_type: null })
      })

      test('a media type without a subject makes no image of what may say something about another one', async () => {
        const references = [
          part('sc', 'application/vnd.example.signature'),
          part('sl', 'application/vnd.example.signature'),
        ]
        const docker = 'application/vnd.docker.distribution.manifest.v2+json'
        await deliver(
          manifest('d', { ...B, mediaType: docker, references }),
          manifest('d', { ...A, mediaType: 'application/vnd.a+json', references }),
        )
        expect(await untagged()).toEqual([])
      })

      test('a size too small for a list makes no empty index of one that lists something', async () => {
        const references = [part('s', OCI_IMAGE)]
        await deliver(
          manifest('s', { ...A, references: [part('sc', 'application/vnd.example.signature')] }),
          index('i', { ...B, size: 100, references }),
          index('i', { ...A, size: 0, references }),
        )
        expect(await untagged()).toEqual([])
      })

      test('a part of the registry that was deleted is not missing by it', async () => {
        const gone = blob('l1', { ...A, at: OLD })
        const deleted = { ...A, action: 'delete' as const, digest: digestOf('l1'), at: '2026-09-02T10:00:00Z' }
        await deliver(gone, deleted, silent, manifest('d', { ...B, references: [part('l1')] }))
        await asking.summary()
        expect(await asking.items('missing-blobs', A)).toEqual([])
      })

      test('of a manifest that no event showed here, but an index of the registry lists', async () => {
        const kind = 'application/vnd.oci.image.manifest.v1+json'
        await deliver(
          index('i', { ...A, tag: 'prod', references: [part('d', kind)] }),
          ...layers,
          manifest('d', { ...B, references: [config] }),
        )
        expect(await orphans()).toEqual([])
      })

      test('what two registries state is known in both', async () => {
        const references = [part('l1')]
        await deliver(manifest('d', { ...A, references }), manifest('d', { ...B, references }), blob('l2', { at: OLD }))
        expect(await rows()).toMatchObject([{ contents_known: true, contested: false }])
        expect(await orphans()).toEqual(['l2'])
      })

      test('blobs that only a contested list implied are in no sum', async () => {
        const huge = 2 ** 43
        await deliver(
          manifest('d', { ...A, references: [part('l1')] }),
          manifest('d', { ...A, references: [part('f1', LAYER, huge)] }),
        )
        await retractEntries(stores.database)
        await asking.summary()
        expect(await asking.items('blobs')).toEqual([])
        expect(await asking.items('repositories')).toMatchObject([{ blobs: 0, unique_bytes: 0 }])
      })
    })

    test('statements that complete each other are none', async () => {
      const bare = { digest: digestOf('l1') }
      await deliver(
        manifest('d', { references: [bare], size: 0 }),
        without(manifest('d', { ...B, references: [{ ...bare, mediaType: LAYER, size: 100 }] })),
        manifest('d', { references: [{ ...bare, mediaType: LAYER }] }),
      )
      const { rows: entries } = await sql`select digest, media_type, size::int from inventory.manifest_blobs`.execute(
        stores.database.sql,
      )
      expect(entries).toEqual([{ digest: digestOf('l1'), media_type: LAYER, size: 100 }])
      expect(await rows()).toMatchObject([{ contested: false, contents_known: true, media_type: OCI_IMAGE, size: 500 }])
    })

    test('of a manifest with more entries than one statement stores', async () => {
      const many = Array.from({ length: 6_000 }, (____, i) => part(`m${i}`))
      await deliver(manifest('d', { references: many }), manifest('d', { ...B, references: many }))
      expect(await rows()).toMatchObject([{ contested: false, list: many.map(({ digest }) => digest) }])
      await deliver(manifest('d', { ...B, references: [...many.slice(1), part('f1')] }), layer)
      expect(await rows()).toEqual([{ digest: digestOf('d'), ...CONTESTED }])
      expect(await orphans()).toEqual([])
    })
  })

  test('the list of a single event, which may be longer or of the other kind, is replaced by what a registry shows', async () => {
    await inOneBatch(
      manifest('d', { references: [part('l1'), part('f1'), part('f2')] }),
      manifest('i', { references: [part('f1')] }),
    )
    await learn({ name: 'd', mediaType: OCI_IMAGE, size: 500, contents: [part('l1')] })
    await learn({ name: 'i', mediaType: OCI_INDEX, size: 500, contents: [part('d')] })
    const lists = (await rows()) as { digest: string; list: string[] }[]
    expect(lists.find(({ digest }) => digest === digestOf('d'))?.list).toEqual([digestOf('l1')])
    expect(lists.find(({ digest }) => digest === digestOf('i'))?.list).toEqual([digestOf('d')])
  })

  test('what an alias of a registry stated, the registry stated', async () => {
    const references = [part('l1')]
    await asking.ingest(
      manifest('d', { ...A, tag: 'v1' }),
      manifest('d', { registry: 'old.example', references }),
      blob('l2', { at: OLD }),
    )
    expect(await orphans()).toEqual([])
    await mergeAliases(stores.database, new Map([['old.example', 'registry.example']]))
    expect(await rows()).toMatchObject([{ contents_known: true }])
    expect(await orphans()).toEqual(['l2'])
    await asking.ingest(manifest('d', { ...B, tag: 'v1' }))
    expect(await orphans()).toEqual(['l2'])
    expect(await rows()).toMatchObject([{ contents_known: false, due: true }])
  })

  test.each([
    ['by an event of the same batch', true],
    ['at another process', false],
  ])('a push of what a process remembers adds no blob once it was contested %s', async (__, isSameBatch) => {
    const { ingest } = createCounting(stores, () => NOW)
    const pushOf = (wanted: Wanted): RegistryEvent => anEvent({ id: ++id, ...wanted })
    const [pushed, other] = [manifest('d', { ...A, references: [part('f1')] }), index('d', B)]
    await ingest(isSameBatch ? [pushOf(pushed), pushOf(other)] : [pushOf(pushed)])
    if (!isSameBatch) await byTwoProcesses(other)
    await retractEntries(stores.database)
    await ingest([pushOf(pushed)])
    await retractEntries(stores.database)
    await asking.summary()
    expect(await asking.items('blobs')).toEqual([])
  })

  test('a pull of what one process knows, with another list', async () => {
    const references = [part('l1')]
    await asking.ingest(manifest('d', { references }), manifest('d', { references, action: 'pull' }))
    await asking.ingest(manifest('d', { references: [part('f1')], action: 'pull' }))
    expect(await rows()).toEqual([{ digest: digestOf('d'), ...CONTESTED }])
    expect(short((await asking.items('manifests'))[0]?.digest)).toBe('d')
  })
})

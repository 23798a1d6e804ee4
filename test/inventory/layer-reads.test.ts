import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import type { Descriptor } from '../../src/events/descriptor.js'
import { ask } from '../../src/inventory/questions/ask.js'
import { questionNamed } from '../servers/asking.js'
import { createCounting } from '../servers/counting.js'
import { anEvent } from '../servers/events.js'
import { digestOf } from '../servers/history.js'
import { OCI_IMAGE, OCI_INDEX } from '../servers/manifests.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const NOW = new Date('2026-11-21T12:00:00Z')
const OLD = '2026-01-10T10:00:00Z'
const LATELY = '2026-11-20T10:00:00Z'
const CONFIG = 'application/vnd.oci.image.config.v1+json'
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'

type Wanted = NonNullable<Parameters<typeof anEvent>[0]>

const entry = (name: string, mediaType: string): Descriptor => ({ digest: digestOf(name), mediaType, size: 20 })
/** An image of its own layer, beside `shared` ones. */
const image = (name: string, shared: string[] = [], more: Wanted = {}): Wanted => ({
  digest: digestOf(name),
  references: [
    entry(`config of ${name}`, CONFIG),
    ...[`layer of ${name}`, ...shared].map((layer) => entry(layer, LAYER)),
  ],
  ...more,
})
const index = (name: string, images: string[], more: Wanted = {}): Wanted => ({
  ...{ digest: digestOf(name), mediaType: OCI_INDEX },
  references: images.map((one) => entry(one, OCI_IMAGE)),
  ...more,
})
const get = (at: string, name: string, more: Wanted = {}): Wanted => ({
  ...{ action: 'pull', method: 'GET', at, digest: digestOf(name) },
  ...more,
})
const getLayer = (at: string, name: string): Wanted => get(at, name, { object: 'blob', mediaType: LAYER })

describe.each(STORE_PAIRS)('a layer that is fetched, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const happened = async (...wanted: Wanted[]): Promise<void> => {
    const { ingest } = createCounting(stores, () => NOW)
    for (const [i, one] of wanted.entries())
      await ingest([anEvent({ id: i + 1, object: 'manifest', mediaType: OCI_IMAGE, size: 20, at: OLD, ...one })])
  }
  const listed = async (name: string, column: string): Promise<unknown[]> => {
    const { items } = await ask(stores.database.sql, questionNamed(name), { unused_for: '90d' }, NOW)
    return items.map((item) => item[column]).sort()
  }
  /** By both questions, which never differ. */
  const unused = async (): Promise<unknown[]> => {
    const tags = await listed('unused-images', 'tag')
    expect(await listed('last-used', 'tag')).toEqual(tags)
    return tags
  }

  test('without its manifest is a use of the image: a lazy snapshotter fetches layers for months', async () => {
    await happened(image('a', [], { tag: 'a' }), image('b', [], { tag: 'b' }), getLayer(LATELY, 'layer of a'))
    expect(await unused()).toEqual(['b'])
  })

  test('of an image is a use of the index that lists the image', async () => {
    await happened(image('a'), index('i', ['a'], { tag: 'i' }), image('b', [], { tag: 'b' }))
    expect(await unused()).toEqual(['b', 'i'])
    await stores.clear()
    await happened(
      ...[image('a'), index('i', ['a'], { tag: 'i' }), image('b', [], { tag: 'b' })],
      getLayer(LATELY, 'layer of a'),
    )
    expect(await unused()).toEqual(['b'])
  })

  test('after the manifest of another image that lists it is no use of this one', async () => {
    await happened(
      image('a', ['base'], { tag: 'a' }),
      image('b', ['base'], { tag: 'b' }),
      get('2026-11-20T08:00:00Z', 'b', { tag: 'b' }),
      getLayer(LATELY, 'base'),
    )
    expect(await unused()).toEqual(['a'])
  })

  test('that many manifests list is a use of each, unless one of them was asked for', async () => {
    const images = Array.from({ length: 510 }, (__, i) => image(`image ${i}`, ['base'], { tag: `t${i}` }))
    await happened(...images, getLayer(LATELY, 'base'))
    expect(await unused()).toEqual([])
    await stores.clear()
    await happened(...images, get('2026-11-20T08:00:00Z', 'image 505', { tag: 't505' }), getLayer(LATELY, 'base'))
    expect(await unused()).toHaveLength(100)
  })

  test.each([
    ['another registry', { registry: 'other.example', repository: 'own' }],
    ['another repository', { repository: 'own' }],
  ])('is a use of the image, however many manifests of %s list it', async (__, repository) => {
    const [used, pulled] = [image('a', [], { tag: 'a' }), image('b', [], { tag: 'b' })]
    const elsewhere = Array.from({ length: 600 }, (___, i) => image(`image ${i}`, ['layer of a'], repository))
    await happened(used, pulled, getLayer(LATELY, 'layer of a'), ...elsewhere)
    expect(await unused()).toEqual(['b'])
  })

  test('is not explained by what another registry says of a manifest that was pulled', async () => {
    const pulled = { digest: digestOf('b'), tag: 'b' }
    await happened(image('a', [], { tag: 'a' }), pulled, getLayer(LATELY, 'layer of a'), get(LATELY, 'b', { tag: 'b' }))
    expect(await unused()).toEqual([])
    const stated = image('b', ['layer of a'], { registry: 'other.example' })
    await createCounting(stores, () => NOW).ingest([
      anEvent({ id: 100, object: 'manifest', mediaType: OCI_IMAGE, size: 20, at: OLD, ...stated }),
    ])
    expect(await unused()).toEqual([])
  })

  test('long ago is no use any more', async () => {
    await happened(image('a', [], { tag: 'a' }), getLayer('2026-03-01T00:00:00Z', 'layer of a'))
    expect(await unused()).toEqual(['a'])
  })

  const EARLIER = '2026-11-20T08:00:00Z'
  /** In each of so many repositories, the base of the unused image `a` was fetched; in the first one, `b` explains it. */
  const inRepositories = (count: number): Wanted[] => [
    ...[image('b', ['base'], { tag: 'b' }), get(EARLIER, 'b', { tag: 'b' })],
    ...Array.from({ length: count }, (__, i) => ({ repository: i === 0 ? 'team/app' : `r${i}` })).flatMap(
      (repository) => [
        image('a', ['base'], { tag: 'a', ...repository }),
        { ...getLayer(LATELY, 'base'), ...repository },
      ],
    ),
  ]
  /** So many manifests in each repository were asked for later. */
  const askedLater = async (digests: string[]): Promise<void> => {
    await sql`
      insert into inventory.repository_manifests (repository_id, digest, pulled_at)
      select id, digest, ${LATELY}::timestamptz from inventory.repositories, unnest(${digests}::text[]) as digest
    `.execute(stores.database.sql)
  }

  test('is a use if explaining it takes more than 200,000 entries of all repositories together', async () => {
    const others = Array.from({ length: 60 }, (__, i) => `other ${i}`)
    const layers = Array.from({ length: 298 }, (__, i) => `layer ${i}`)
    const elsewhere = others.map((name) => image(name, layers, { repository: 'elsewhere' }))
    const unusedAmong = async (count: number): Promise<unknown[]> => {
      await stores.clear()
      await happened(...inRepositories(count), ...elsewhere)
      await sql`delete from inventory.repository_manifests where digest = any(${others.map(digestOf)}::text[])`.execute(
        stores.database.sql,
      )
      await askedLater(others.map(digestOf))
      return unused()
    }
    // 60 manifests of 300 entries.
    expect(await unusedAmong(11)).toEqual(['a'])
    expect(await unusedAmong(12)).toEqual([])
  })

  test('is a use if more than 20,000 manifests of all repositories together were asked for later', async () => {
    const others = Array.from({ length: 1_900 }, (__, i) => digestOf(`other ${i}`))
    const unusedAmong = async (count: number): Promise<unknown[]> => {
      await stores.clear()
      await happened(...inRepositories(count))
      await askedLater(others)
      return unused()
    }
    expect(await unusedAmong(10)).toEqual(['a'])
    expect(await unusedAmong(11)).toEqual([])
  })

  test('is a use of a manifest without a tag', async () => {
    await happened(image('a'), image('b'), getLayer(LATELY, 'layer of a'))
    expect(await listed('untagged-manifests', 'digest')).toEqual([digestOf('b')])
  })
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Descriptor } from '../../src/events/descriptor.js'
import { ask, type Item } from '../../src/inventory/questions/ask.js'
import { learnManifest } from '../../src/inventory/record/learn-manifest.js'
import { summarize } from '../../src/inventory/summary/summarize.js'
import { questionNamed, short } from '../servers/asking.js'
import { createCounting } from '../servers/counting.js'
import { anEvent } from '../servers/events.js'
import { digestOf } from '../servers/history.js'
import { OCI_CONFIG, OCI_IMAGE, OCI_INDEX } from '../servers/manifests.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'
const FOREIGN = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'
const SCHEMA_1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
const SCHEMA_1_LAYER = 'application/vnd.docker.container.image.rootfs.diff+x-gtar'

const part = (name: string, mediaType: string, size = 10): Descriptor => ({ digest: digestOf(name), mediaType, size })

describe.each(STORE_PAIRS)('what is in use on %s', (_, open) => {
  let stores: TestStores
  let id = 0
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const ingest = async (...wanted: NonNullable<Parameters<typeof anEvent>[0]>[]): Promise<unknown> =>
    createCounting(stores).ingest(wanted.map((one) => anEvent({ id: ++id, ...one })))
  const image = (name: string, more: object = {}) =>
    ({ object: 'manifest', digest: digestOf(name), mediaType: OCI_IMAGE, size: 20, ...more }) as const
  const index = (name: string, more: object = {}) => image(name, { mediaType: OCI_INDEX, ...more })
  const blob = (name: string, size = 10) => ({ object: 'blob', digest: digestOf(name), size }) as const
  const asked = async (question: string, parameters: object = {}): Promise<Item[]> =>
    (await ask(stores.database.sql, questionNamed(question), parameters, NOW)).items
  const digests = async (question: string): Promise<string[]> =>
    (await asked(question)).map(({ digest, blob_digest }) => short(digest ?? blob_digest))
  const summary = async (): Promise<unknown> => summarize(stores.database, () => NOW)

  const CACHE = [part('cac1', LAYER), part('cac2', 'application/vnd.buildkit.cacheconfig.v0')]
  const IMAGE = [part('c1', OCI_CONFIG), part('b1', LAYER)]
  const pushCache = async (): Promise<unknown> =>
    ingest(blob('cac1'), blob('cac2'), blob('cac3'), index('cace', { tag: 'cache', references: CACHE }))

  test('the blobs of an index that BuildKit keeps its cache in', async () => {
    await pushCache()
    await summary()
    expect(await digests('orphaned-blobs')).toEqual(['cac3'])
    expect(await digests('missing-blobs')).toEqual([])
    expect((await asked('images'))[0]).toMatchObject({ tag: 'cache', size: 40 })
    const tree = await asked('tree', { repository: 'team/app', reference: 'cache' })
    expect(tree.map(({ part, digest, present }) => [part, short(digest), present])).toEqual([
      ['index', 'cace', 'yes'],
      ['layer', 'cac1', 'yes'],
      ['config', 'cac2', 'yes'],
    ])
  })

  test('such an index lacks a blob that was deleted; an index lacks an image that was deleted', async () => {
    await pushCache()
    await ingest(image('a1', { references: CACHE }), index('a5', { tag: '1', references: [part('a1', OCI_IMAGE)] }))
    await ingest({ action: 'delete', digest: digestOf('cac1'), at: '2026-11-19T10:00:00Z' })
    await ingest({ action: 'delete', digest: digestOf('a1'), at: '2026-11-19T10:00:00Z' })
    await summary()
    const missing = await asked('missing-blobs')
    expect(missing.map((row) => [short(row.manifest_digest), short(row.blob_digest)])).toEqual([
      ['a5', 'a1'],
      ['cace', 'cac1'],
    ])
  })

  test('nothing is untagged for certain where an index has not been read', async () => {
    const children = [part('a1', OCI_IMAGE)]
    await ingest(
      image('a1', { references: IMAGE }),
      image('a2', { references: IMAGE }),
      index('a5', { tag: '1', size: 400 }),
    )
    await ingest(image('a3', { repository: 'other', references: IMAGE }))
    expect(await digests('untagged-manifests')).toEqual(['a3'])
    await stores.database.transaction(async (tx) =>
      learnManifest(tx, { digest: digestOf('a5'), mediaType: OCI_INDEX, size: 20, contents: children }),
    )
    expect((await digests('untagged-manifests')).sort()).toEqual(['a2', 'a3'])
  })

  test('a signature of what is there is not untagged', async () => {
    await ingest(image('a1', { tag: '1', references: CACHE }), image('a9'), image('e1'), image('e2'))
    const contents = [part('e0', 'application/vnd.oci.empty.v1+json', 2)]
    const signature = { mediaType: OCI_IMAGE, size: 20, contents }
    await stores.database.transaction(async (tx) => {
      await learnManifest(tx, { ...signature, digest: digestOf('e1'), subject: digestOf('a1') })
      await learnManifest(tx, { ...signature, digest: digestOf('e2'), subject: digestOf('a9') })
    })
    expect(await digests('untagged-manifests')).toEqual([])
    await ingest({ action: 'delete', digest: digestOf('a9'), at: '2026-11-19T10:00:00Z' })
    expect(await digests('untagged-manifests')).toEqual(['e2'])
  })

  test('the size of an index is known when the sizes of its images are', async () => {
    await ingest(index('a5', { tag: '1', references: [{ ...part('a1', OCI_IMAGE, 20) }] }))
    expect((await asked('images'))[0]).toMatchObject({ size: null })
    await ingest(image('a1', { references: CACHE }))
    expect((await asked('images'))[0]).toMatchObject({ size: 20 + 20 + 20 })
  })

  test('layers that are kept elsewhere take no bytes, and layers of schema 1 count', async () => {
    const references = [part('c1', OCI_CONFIG, 5), part('f1', FOREIGN, 9000), part('b1', LAYER, 100)]
    await ingest(image('a1', { tag: '1', references }))
    await summary()
    expect((await asked('images'))[0]).toMatchObject({ size: 125 })
    expect((await asked('totals'))[0]).toMatchObject({ blobs: 2, bytes: 105 })
    await ingest(image('a2', { tag: 'old', mediaType: SCHEMA_1, references: [part('b2', SCHEMA_1_LAYER)] }))
    const parts = async (reference: string): Promise<unknown[]> =>
      (await asked('tree', { repository: 'team/app', reference })).map((one) => one.part)
    expect(await parts('old')).toEqual(['manifest', 'layer'])
    expect(await parts('1')).toEqual(['manifest', 'config', 'layer', 'layer'])
  })

  test('a repository that was deleted is back when something is in it again', async () => {
    await ingest(image('a1', { tag: '1', references: CACHE }), { action: 'delete', at: '2026-11-19T10:00:00Z' })
    const listed = async (): Promise<unknown> => {
      await summary()
      const found = await asked('repositories')
      expect(await asked('largest-repositories')).toHaveLength(found.length)
      expect((await asked('totals'))[0]).toMatchObject({ repositories: found.length })
      return found.length
    }
    expect(await listed()).toBe(0)
    await ingest({ action: 'delete', tag: '1', at: '2026-11-20T10:00:00Z' })
    expect(await listed()).toBe(0)
    await ingest({ ...blob('b1'), at: '2026-11-21T10:00:00Z' })
    expect(await listed()).toBe(1)
  })
})

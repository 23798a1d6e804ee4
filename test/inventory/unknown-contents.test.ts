import { describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { DIGEST_ALGORITHMS } from '../../src/events/reference.js'
import type { Descriptor } from '../../src/events/descriptor.js'
import { refersToLiveManifest } from '../../src/inventory/questions/sql-parts.js'
import { mergeAliases } from '../../src/inventory/record/merge-aliases.js'
import { learnManifest } from '../../src/inventory/record/learn-manifest.js'
import { QUESTIONS } from '../../src/inventory/questions/questions.js'
import { blob, createAsking, OCI_LAYER, short, useAsking, type Wanted } from '../servers/asking.js'
import { digestOf } from '../servers/history.js'
import { OCI_CONFIG, OCI_IMAGE, OCI_INDEX } from '../servers/manifests.js'
import { STORE_PAIRS } from '../servers/stores.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const DOCKER_IMAGE = 'application/vnd.docker.distribution.manifest.v2+json'

const part = (name: string, mediaType: string, size?: number): Descriptor => ({
  digest: digestOf(name),
  mediaType,
  ...(size !== undefined && { size }),
})
const manifest = (name: string, more: Wanted = {}): Wanted => ({
  object: 'manifest',
  digest: digestOf(name),
  mediaType: OCI_IMAGE,
  size: 500,
  ...more,
})
const IMAGE = [part('c1', OCI_CONFIG, 5), part('b1', OCI_LAYER, 100)]

describe.each(STORE_PAIRS)('what is not known, on %s', (_, open) => {
  const { stores, asking } = useAsking(open, NOW)
  const orphans = async (): Promise<string[]> => {
    await asking.summary()
    return asking.digests('orphaned-blobs')
  }
  const learn = async (name: string, contents: Descriptor[], more: object = {}): Promise<void> =>
    stores.database.transaction(async (tx) =>
      learnManifest(tx, { digest: digestOf(name), mediaType: OCI_IMAGE, size: 500, contents, ...more }),
    )

  test('the subject of a signature whose contents an event had is; of an image, and of what a registry showed, it is known', async () => {
    const signature = [
      part('c2', 'application/vnd.oci.empty.v1+json', 2),
      part('s1', 'application/vnd.dev.sigstore.bundle', 9),
    ]
    await asking.ingest(manifest('a1', { references: IMAGE, tag: '1' }), manifest('a2', { references: signature }))
    await asking.summary()
    const { unknown, notes } = await asking.answer('manifests')
    expect(unknown).toEqual({ subjects: 1, platforms: 1 })
    expect(notes?.join()).toMatch(
      /^subjects of 1 manifests are unknown, .*"tallyman inventory reconcile --reread --apply"/,
    )
    expect((await asking.answer('manifests', { registry: 'other.example' })).unknown).toBeUndefined()
    await learn('a2', signature, { subject: digestOf('a1') })
    await asking.summary()
    expect((await asking.answer('manifests')).unknown).toEqual({ platforms: 1 })
  })

  test('the platform of an image whose contents an event had is, in every answer that shows platforms, until it was read', async () => {
    const artifact = [part('c9', 'application/vnd.example.config', 2), part('s9', 'application/vnd.example.layer', 9)]
    await asking.ingest(
      manifest('a1', { references: IMAGE, tag: '1' }),
      manifest('a8', { references: artifact, tag: '8' }),
      manifest('a9', { mediaType: OCI_INDEX, references: [part('a1', OCI_IMAGE, 500)], tag: '9' }),
    )
    await asking.summary()
    const answers = async (): Promise<unknown[]> => {
      const found = [
        await asking.answer('images'),
        await asking.answer('images', { limit: '1' }),
        await asking.answer('manifests'),
        await asking.answer('tree', { repository: 'team/app', reference: '9' }),
      ]
      return found.map(({ unknown, notes = [] }) => [
        unknown?.platforms,
        notes.filter((note) => note.startsWith('os ')),
      ])
    }
    const NOTE =
      'os and architecture of some images in this answer are unknown: notifications do not contain them; ' +
      '"tallyman inventory reconcile --reread --apply" reads them from a registry that has a url'
    expect(await answers()).toEqual(Array(4).fill([1, [NOTE]]))
    const cache = createAsking(stores, NOW, ['registry.example'])
    expect((await cache.answer('images')).notes).toContain(
      'os and architecture of some images in this answer are unknown: notifications do not contain them, and Tallyman does ' +
        'not read them from a pull-through cache',
    )
    await learn('a1', IMAGE, { platform: { os: 'linux', architecture: 'arm64' } })
    expect(await answers()).toEqual(Array(4).fill([undefined, []]))
  })

  test('of a pull-through cache is made known by its notifications alone: no note names a url or reconcile', async () => {
    const unsized = [part('b9', OCI_LAYER)]
    const registry = 'cache.example'
    await asking.ingest(
      blob('b1', { registry }),
      manifest('a1', { registry, action: 'pull', tag: '1' }),
      manifest('a2', { registry, references: unsized }),
      manifest('a3', { registry }),
    )
    await asking.summary()
    const ofCache = createAsking(stores, NOW, [registry])
    for (const question of QUESTIONS) {
      const parameters = Object.fromEntries(
        Object.entries(question.parameters).flatMap(([key, { required }]) => (required ? [[key, '1d']] : [])),
      )
      const { unknown, notes = [] } = await ofCache.answer(question.name, parameters)
      expect(unknown).toEqual((await asking.answer(question.name, parameters)).unknown)
      expect(notes.join()).not.toMatch(/url|reconcile/)
    }
    const { notes } = await ofCache.answer('untagged-manifests')
    expect(notes?.[0]).toMatch(
      /^contents of 2 manifests are unknown: add "includereferences: true" .* pull-through cache/,
    )
    await asking.ingest(manifest('a4'), blob('b1'))
    await asking.summary()
    const both = (await ofCache.answer('blobs')).notes ?? []
    expect(both.map((note) => /contents of \d/.exec(note)?.[0])).toEqual(['contents of 1', 'contents of 2', undefined])
  })

  test('is counted no more when its repository has moved to another registry name', async () => {
    const unsized = [part('b1', OCI_LAYER)]
    await asking.ingest(
      manifest('a1', { registry: 'alias.example', references: unsized }),
      manifest('a2', { registry: 'alias.example' }),
    )
    const counted = async (): Promise<unknown> => {
      await asking.summary()
      return (await asking.answer('repositories')).unknown
    }
    const before = await counted()
    expect(before).toEqual({ contents: 1, sizes: 1 })
    await mergeAliases(stores.database, new Map([['alias.example', 'registry.example']]))
    expect(await counted()).toEqual(before)
  })

  describe('no blob is orphaned that an unknown manifest may have', () => {
    test('one that is live, in the same repository; it is counted, with what makes it known', async () => {
      await asking.ingest(blob('b1'), blob('b2', { repository: 'other' }), manifest('a1', { tag: '1' }))
      expect(await orphans()).toEqual(['b2'])
      const { unknown, notes } = await asking.answer('orphaned-blobs', { repository: 'team/app' })
      expect(unknown).toEqual({ contents: 1, blobs: 1 })
      expect(notes?.[0]).toMatch(/contents of 1 manifests are unknown: add "includereferences: true".* or add a "url"/)
      expect(await asking.items('totals')).toMatchObject([{ orphaned_blobs: 1, unknown_contents: 1 }])
      expect(await asking.items('repositories', { repository: 'team/app' })).toMatchObject([{ unknown_contents: 1 }])
      expect((await asking.answer('orphaned-blobs', { repository: 'other' })).notes).toBeUndefined()

      await learn('a1', [part('c1', OCI_CONFIG, 5)])
      expect(await orphans()).toEqual(['b1', 'b2'])
      expect((await asking.answer('orphaned-blobs')).notes).toBeUndefined()
    })

    test('one that is pushed after the summary was made', async () => {
      await asking.ingest(blob('b1'))
      expect(await orphans()).toEqual(['b1'])
      await asking.ingest(manifest('a1', { tag: '1', at: '2026-11-27T11:00:00Z' }))
      expect(await asking.digests('orphaned-blobs')).toEqual([])
    })

    test('one that a live index lists, and that no event showed', async () => {
      const index = manifest('a5', { mediaType: OCI_INDEX, tag: '1', references: [part('a1', OCI_IMAGE, 500)] })
      await asking.ingest(blob('b1'), index)
      expect(await orphans()).toEqual([])
      // It becomes known elsewhere: a digest has one content.
      await asking.ingest(manifest('a1', { repository: 'other', references: [part('b9', OCI_LAYER, 10)] }))
      expect(await orphans()).toEqual(['b1'])
    })

    test('one from before the first event: the blob was there when it was seen first', async () => {
      await asking.ingest(
        blob('b1', { action: 'pull', method: 'HEAD' }),
        blob('b2', { action: 'pull' }),
        blob('b3', { action: 'mount' }),
        blob('b4'),
      )
      expect(await orphans()).toEqual(['b3', 'b4'])
      expect((await asking.answer('orphaned-blobs')).unknown).toEqual({ blobs: 2 })
    })

    test('one that is still to come: the blob was used in the last 24 hours', async () => {
      await asking.ingest(
        blob('b1', { at: '2026-11-26T13:00:00Z' }),
        blob('b2', { at: '2026-11-26T11:00:00Z' }),
        blob('b3'),
        blob('b3', { action: 'pull', method: 'HEAD', at: '2026-11-27T11:00:00Z' }),
      )
      expect(await orphans()).toEqual(['b2'])
      // A client finds after the summary that it need not upload the blob.
      await asking.ingest(blob('b2', { action: 'pull', method: 'HEAD', at: '2026-11-27T11:59:00Z' }))
      expect(await asking.digests('orphaned-blobs')).toEqual([])
    })
  })

  describe('no manifest is untagged that', () => {
    const untagged = async (): Promise<string[]> => asking.digests('untagged-manifests')

    test('may be a referrer: only images and indexes of images are none for certain', async () => {
      const artifact = part('e0', 'application/vnd.oci.empty.v1+json', 2)
      await asking.ingest(
        manifest('a1', { references: IMAGE }),
        manifest('a2', { references: [part('c1', OCI_CONFIG, 5), part('b2', 'application/vnd.in-toto+json', 9)] }),
        manifest('a3', { references: [artifact, part('b3', 'application/vnd.dev.sigstore.bundle.v0.3+json', 9)] }),
        manifest('a4', { references: [artifact, part('b4', OCI_LAYER, 9)] }),
        manifest('a5', { mediaType: DOCKER_IMAGE }),
        manifest('a6', { mediaType: OCI_INDEX, references: [part('a7', OCI_IMAGE, 500)] }),
        manifest('a7', { references: IMAGE }),
        manifest('a8', { mediaType: OCI_INDEX, references: [part('a3', OCI_IMAGE, 500)] }),
      )
      expect(await untagged()).toEqual(['a1', 'a5', 'a6'])
      await asking.summary()
      // a7 and a3 are listed by live indexes.
      expect((await asking.answer('untagged-manifests')).unknown).toEqual({ contents: 1, manifests: 3, platforms: 1 })
    })

    test('refers to one that is there, or may be', async () => {
      await asking.ingest(
        manifest('a1', { tag: '1', references: IMAGE }),
        manifest('e1'),
        manifest('e2'),
        manifest('e3'),
      )
      const contents = [part('e0', 'application/vnd.oci.empty.v1+json', 2)]
      await learn('e1', contents, { subject: digestOf('a1') })
      // A referrer of a referrer, and one of what no event showed.
      await learn('e2', contents, { subject: digestOf('e1') })
      await learn('e3', contents, { subject: digestOf('a9') })
      expect(await untagged()).toEqual([])
      await asking.ingest({ action: 'delete', digest: digestOf('a1'), at: '2026-11-19T10:00:00Z' })
      expect(await untagged()).toEqual(['e1'])
      await asking.ingest({ action: 'delete', digest: digestOf('e1'), at: '2026-11-19T11:00:00Z' })
      expect(await untagged()).toEqual(['e2'])
    })

    test('may have a tag from before the first event', async () => {
      await asking.ingest(manifest('a1', { action: 'pull', references: IMAGE, at: '2026-09-18T10:00:00Z' }))
      expect(await untagged()).toEqual([])
      await asking.ingest(manifest('a1', { references: IMAGE, at: '2026-09-19T10:00:00Z' }))
      expect(await untagged()).toEqual(['a1'])
    })

    test('an index may list whose contents are not known', async () => {
      await asking.ingest(manifest('a1', { references: IMAGE }))
      const nested = manifest('a5', { mediaType: OCI_INDEX, tag: '1', references: [part('a6', OCI_INDEX, 500)] })
      await asking.ingest(nested)
      await asking.summary()
      expect(await untagged()).toEqual([])
      expect((await asking.answer('untagged-manifests')).unknown).toEqual({ contents: 1, manifests: 1 })
    })

    test('was used lately', async () => {
      await asking.ingest(
        manifest('a1', { references: IMAGE }),
        manifest('a1', { action: 'pull', at: '2026-11-20T10:00:00Z' }),
        manifest('a2', { references: IMAGE, at: '2026-11-27T11:59:00Z' }),
        manifest('a3', { references: IMAGE, at: '2026-11-25T11:59:00Z' }),
      )
      expect(await untagged()).toEqual(['a3'])
      expect(await asking.digests('untagged-manifests', { unused_for: '2026-11-21' })).toEqual(['a1'])
      expect(await asking.digests('untagged-manifests', { unused_for: '30d' })).toEqual([])
    })
  })

  describe('no sum leaves out what is not known', () => {
    const size = async (): Promise<unknown> => (await asking.items('images'))[0]?.size

    test('the size of an image, of which that of a layer is not known', async () => {
      await asking.ingest(manifest('a1', { tag: '1', references: [part('c1', OCI_CONFIG, 5), part('b1', OCI_LAYER)] }))
      expect(await size()).toBeNull()
      await asking.summary()
      expect(await asking.items('totals')).toMatchObject([{ bytes: 5, unknown_sizes: 1 }])
      expect((await asking.answer('images')).notes?.[0]).toMatch(/sizes of 1 blobs are unknown/)
      await asking.ingest(blob('b1', { size: 100 }))
      expect(await size()).toBe(605)
    })

    test('the size of an index, whose indexes list images', async () => {
      const index = (name: string, ...children: Descriptor[]): Wanted =>
        manifest(name, { mediaType: OCI_INDEX, references: children })
      await asking.ingest(
        { ...index('a5', part('a6', OCI_INDEX, 500)), tag: '1' },
        index('a6', part('a1', OCI_IMAGE, 500)),
      )
      expect(await size()).toBeNull()
      await asking.ingest(manifest('a1', { references: IMAGE }))
      expect(await size()).toBe(3 * 500 + 105)
    })

    test('the tree of an index', async () => {
      const references = [part('a1', OCI_IMAGE, 500), part('a2', OCI_IMAGE, 500)]
      await asking.ingest(manifest('a5', { mediaType: OCI_INDEX, tag: '1', references }), manifest('a1'))
      const tree = await asking.items('tree', { repository: 'team/app', reference: '1' })
      expect(tree.map(({ digest, present, contents }) => [short(digest), present, contents])).toEqual([
        ['a5', 'yes', 'known'],
        ['a1', 'yes', 'unknown'],
        ['a2', 'unknown', 'unknown'],
      ])
    })
  })

  test('a tag that is a referrer of a live manifest is known by its name', async () => {
    const image = { ...manifest('a1', { tag: '1', references: IMAGE }), digest: `sha256:${'a'.repeat(64)}` }
    const gone = { ...manifest('a2', { tag: '2', references: IMAGE }), digest: `sha256:${'b'.repeat(64)}` }
    const tags = ['a', 'b', 'c'].flatMap((hex) => ['', '.sig', '.att'].map((end) => `sha256-${hex.repeat(64)}${end}`))
    await asking.ingest(image, gone, ...tags.map((tag) => manifest('e1', { tag, references: IMAGE })))
    await asking.ingest({ action: 'delete', digest: gone.digest, at: '2026-11-19T10:00:00Z' })
    const { rows } = await sql<{ name: string }>`
      select t.name from inventory.tags t where ${refersToLiveManifest} order by t.name
    `.execute(stores.database.sql)
    // c was never seen: it may be there.
    expect(rows.map(({ name }) => name)).toEqual(tags.filter((tag) => !tag.startsWith('sha256-b')).sort())
  })

  test.each([...DIGEST_ALGORITHMS])('the same of a digest of %s, which the tag may cut', async (algorithm, length) => {
    const image = (hex: string): Wanted & { digest: string } => ({
      ...manifest(hex, { references: IMAGE }),
      digest: `${algorithm}:${hex.repeat(length)}`,
    })
    const gone = image('b')
    const tags = ['a', 'b', 'c'].map((hex) => `${algorithm}-${hex.repeat(64)}.sig`)
    await asking.ingest(image('a'), gone, ...tags.map((tag) => manifest('e1', { tag, references: IMAGE })))
    await asking.ingest({ action: 'delete', digest: gone.digest, at: '2026-11-19T10:00:00Z' })
    const { rows } = await sql<{ name: string }>`
      select t.name from inventory.tags t where ${refersToLiveManifest} order by t.name
    `.execute(stores.database.sql)
    expect(rows.map(({ name }) => name)).toEqual([tags[0], tags[2]])
  })
})

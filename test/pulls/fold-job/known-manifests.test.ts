import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Digest } from '../../../src/events/reference.js'
import { readDescriptors } from '../../../src/events/descriptor.js'
import { MOST_ENTRIES } from '../../../src/inventory/questions/manifest-contents.js'
import { learnManifest } from '../../../src/inventory/record/learn-manifest.js'
import type { ManifestContents } from '../../../src/pulls/fold/contents.js'
import { createKnownManifests, type KnownManifests } from '../../../src/pulls/fold-job/known-manifests.js'
import type { PendingRequest } from '../../../src/pulls/requests/pending.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'
const CONFIG = 'application/vnd.oci.image.config.v1+json'
const SIGNATURE = 'application/vnd.dev.cosign.simplesigning.v1+json'
const LARGE = MOST_ENTRIES + 50
const ROOM = 1_000

const digest = (name: string): Digest => `sha256:${name.padStart(64, '0')}` as Digest
const CONFIGURATION = digest('c')
const numbered = (kind: string, count: number): Digest[] =>
  Array.from({ length: count }, (_one, i) => digest(`${kind}${i}`))

describe.each(STORE_PAIRS)('manifests of a fold on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  let sequence = 0
  const push = async (name: string, mediaType: string, references: object[]): Promise<void> => {
    await createCounting(stores).ingest([
      anEvent({
        ...{ id: ++sequence, action: 'push', object: 'manifest', repository: 'a' },
        ...{ digest: digest(name), mediaType, references },
      } as never),
    ])
  }
  const pushTo = async (
    owner: { registry?: string; repository?: string },
    name: string,
    more: object,
  ): Promise<void> => {
    const { descriptors } = readDescriptors((more as { references?: unknown[] }).references ?? [])
    await createCounting(stores).ingest([
      anEvent({
        ...{ id: ++sequence, action: 'push', object: 'manifest', repository: 'a', digest: digest(name), ...owner },
        ...{ mediaType: MANIFEST, ...more, ...(descriptors && { references: descriptors }) },
      } as never),
    ])
  }
  /** The kind and the platform of an image in repository a of the registry. */
  const knownAs = async (name: string): Promise<unknown[]> => {
    const manifests = createKnownManifests('registry.example', ROOM)
    const [contents] = await learned(manifests, [name])
    return [contents?.kind, manifests.platforms(digest(name), 'a')]
  }
  const learnConfig = async (name: string, platform: { os: string; architecture: string }): Promise<void> =>
    stores.database.transaction(async (tx) =>
      learnManifest(tx, {
        ...{ digest: digest(name), mediaType: MANIFEST, size: 9, config: CONFIGURATION, platform },
        contents: IMAGE.references,
      }),
    )
  const IMAGE = {
    references: [
      { mediaType: CONFIG, digest: CONFIGURATION },
      { mediaType: 'application/vnd.example', digest: digest('b') },
    ],
  }
  const WINDOWS_S390X = { platform: { os: 'windows', architecture: 's390x' } }
  const UNKNOWN = { platform: { os: 'unknown', architecture: 'unknown' } }
  const MARKS = [
    UNKNOWN,
    { annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } },
    { annotations: { 'vnd.docker.reference.type': 'attestation-manifest' }, platform: { os: 'linux' } },
  ]
  const pushIndex = async (owner: object, marks: object, name = 'e'): Promise<void> =>
    pushTo(owner, name, { mediaType: INDEX, references: [{ mediaType: MANIFEST, digest: digest('a1'), ...marks }] })

  test.each(MARKS)('listed by an index of the repository with %j are attestations', async (marks) => {
    await pushTo({}, 'a1', IMAGE)
    await pushIndex({}, marks)
    expect((await knownAs('a1'))[0]).toBe('artifact')
    await learnConfig('a1', { os: 'unknown', architecture: 'unknown' })
    expect((await knownAs('a1'))[0]).toBe('artifact')
  })

  describe.each([
    ['another registry', { registry: 'b.example', repository: 'user/own' }],
    ['the repository of this name of another registry', { registry: 'b.example' }],
    ['another repository of the registry', { repository: 'user/own' }],
  ])('an index of %s', (__, owner) => {
    test.each([...MARKS, WINDOWS_S390X])('that lists an image with %j changes nothing', async (marks) => {
      await pushTo({}, 'a1', IMAGE)
      await pushTo(owner, 'a1', IMAGE)
      await pushIndex(owner, marks)
      expect(await knownAs('a1')).toEqual(['image', undefined])
      await learnConfig('a1', { os: 'linux', architecture: 'amd64' })
      expect(await knownAs('a1')).toEqual(['image', { platform: 'linux/amd64', from: 'config' }])
    })
  })

  test('an index of the repository that only another registry stated, or completed, changes nothing', async () => {
    await pushTo({}, 'a1', IMAGE)
    await pushTo({}, 'e', { mediaType: INDEX })
    await pushTo({}, 'e2', { mediaType: INDEX, references: [{ digest: digest('a1') }] })
    await pushIndex({ registry: 'b.example' }, UNKNOWN)
    await pushIndex({ registry: 'b.example' }, UNKNOWN, 'e2')
    expect(await knownAs('a1')).toEqual(['image', undefined])
    await pushIndex({}, WINDOWS_S390X, 'e3')
    expect(await knownAs('a1')).toEqual(['image', { platform: 'windows/s390x', from: 'index' }])
  })

  test('the configuration of an image disproves that the image is an attestation', async () => {
    await pushTo({}, 'a1', IMAGE)
    await pushIndex({}, UNKNOWN)
    await learnConfig('a1', { os: 'linux', architecture: 'arm64' })
    expect(await knownAs('a1')).toEqual(['image', { platform: 'linux/arm64', from: 'config' }])
  })

  test('a signature of another registry under the digest of an image of this one changes nothing', async () => {
    await pushTo({}, 'a1', {})
    await pushTo({ registry: 'b.example' }, 'a1', { references: [{ mediaType: SIGNATURE, digest: digest('b') }] })
    expect((await knownAs('a1'))[0]).toBeUndefined()
  })

  const pushImage = async (name: string, layers: number, mediaType?: string): Promise<void> =>
    push(name, MANIFEST, [
      { digest: CONFIGURATION, mediaType: CONFIG },
      ...numbered('b', layers).map((layer) => ({ digest: layer, mediaType })),
    ])
  const requestsFor = (...digests: Digest[]): PendingRequest[] =>
    digests.map((one) => ({ object: 'blob', digest: one }) as PendingRequest)
  const learned = async (
    manifests: KnownManifests,
    names: string[],
    ...digests: Digest[]
  ): Promise<(ManifestContents | undefined)[]> => {
    const wanted = names.map((name) => ({ repository: 'a', digest: digest(name) }))
    await manifests.learn(stores.database.sql, wanted, requestsFor(...digests))
    return names.map((name) => manifests.contentsIn('a')(digest(name)))
  }
  const layersOf = (contents: ManifestContents | undefined): { has: (digest: string) => boolean } =>
    contents?.kind === 'image' ? contents.layers : { has: () => false }

  test('with many entries are in memory as far as a batch needs them', async () => {
    await pushImage('a1', LARGE)
    await pushImage('a2', 2)
    const manifests = createKnownManifests('registry.example', ROOM)
    const wanted = digest(`b${LARGE - 1}`)
    const [large, small] = await learned(manifests, ['a1', 'a2'], wanted, digest('d'))
    expect(['b0', 'd', `b${LARGE - 1}`].map((name) => layersOf(large).has(digest(name)))).toEqual([false, false, true])
    expect(['b0', 'b1', 'b2'].map((name) => layersOf(small).has(digest(name)))).toEqual([true, true, false])
    expect(manifests.entries()).toBe(MOST_ENTRIES + 2)
    // The next batch needs other entries, of the manifests that it names.
    await learned(manifests, ['a1'], digest('b0'))
    const again = manifests.contentsIn('a')(digest('a1'))
    expect(layersOf(again).has(digest('b0'))).toBe(true)
    expect(layersOf(again).has(wanted)).toBe(false)
  })

  test('are not searched for a batch that does not name them: its work does not grow with the manifests of earlier batches', async () => {
    await pushImage('a1', LARGE)
    await pushImage('a2', 2)
    const manifests = createKnownManifests('registry.example', ROOM)
    await learned(manifests, ['a1'], digest('b0'))
    await learned(manifests, ['a2'], digest('b1'))
    const listsNext = (): boolean => layersOf(manifests.contentsIn('a')(digest('a1'))).has(digest('b1'))
    expect(listsNext()).toBe(false)
    await learned(manifests, ['a1', 'a2'], digest('b1'))
    expect(listsNext()).toBe(true)
  })

  test('are in memory as far as a batch needs them when memory is full', async () => {
    const names = ['a1', 'a2', 'a3', 'a4', 'a5', 'a6']
    for (const name of names) await pushImage(name, 240)
    const manifests = createKnownManifests('registry.example', ROOM)
    const known = await learned(manifests, names, digest('b1'))
    expect(known.map((one) => layersOf(one).has(digest('b1')))).toEqual(names.map(() => true))
    expect(known.filter((one) => layersOf(one).has(digest('b2')))).toHaveLength(4)
  })

  test.each([ROOM, 0])('are of the same kind and list the same with room for %i entries', async (room) => {
    const children = numbered('e', LARGE)
    await pushImage('a1', 3)
    await pushImage('a2', 3, SIGNATURE)
    await pushImage('a3', LARGE, SIGNATURE)
    await push(
      'a4',
      INDEX,
      children.map((child) => ({ digest: child, mediaType: MANIFEST })),
    )
    await push('a5', INDEX, [{ digest: digest('a1'), mediaType: MANIFEST }])
    const wanted = [CONFIGURATION, digest('b1'), digest(`e${LARGE - 1}`), digest('a1')]
    const names = ['a1', 'a2', 'a3', 'a4', 'a5']
    const known = await learned(createKnownManifests('registry.example', room), names, ...wanted)
    const listed = (some: { has: (digest: string) => boolean } | undefined): boolean[] =>
      wanted.map((one) => some?.has(one) === true)
    const nothing = [false, false, false, false]
    expect(
      known.map((one) =>
        one?.kind === 'image'
          ? [one.kind, one.config, listed(one.layers)]
          : [one?.kind, listed(one?.kind === 'artifact' ? one.blobs : undefined), listed(one?.children)],
      ),
    ).toEqual([
      ['image', CONFIGURATION, [false, true, false, false]],
      ['artifact', [true, true, false, false], nothing],
      ['artifact', [true, true, false, false], nothing],
      ['index', nothing, [false, false, true, false]],
      ['index', nothing, [false, false, false, true]],
    ])
  })
})

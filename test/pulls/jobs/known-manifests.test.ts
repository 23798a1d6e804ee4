import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Digest } from '../../../src/events/reference.js'
import { MOST_ENTRIES } from '../../../src/inventory/contents.js'
import type { Contents } from '../../../src/pulls/fold/contents.js'
import { createManifests, type Manifests } from '../../../src/pulls/jobs/known-manifests.js'
import type { PendingRequest } from '../../../src/pulls/record/pending.js'
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
  const pushImage = async (name: string, layers: number, mediaType?: string): Promise<void> =>
    push(name, MANIFEST, [
      { digest: CONFIGURATION, mediaType: CONFIG },
      ...numbered('b', layers).map((layer) => ({ digest: layer, mediaType })),
    ])
  const requestsFor = (...digests: Digest[]): PendingRequest[] =>
    digests.map((one) => ({ object: 'blob', digest: one }) as PendingRequest)
  const learned = async (
    manifests: Manifests,
    names: string[],
    ...digests: Digest[]
  ): Promise<(Contents | undefined)[]> => {
    await manifests.learn(stores.database.sql, names.map(digest), requestsFor(...digests))
    return names.map((name) => manifests.contentsOf(digest(name)))
  }
  const layersOf = (contents: Contents | undefined): { has: (digest: string) => boolean } =>
    contents?.kind === 'image' ? contents.layers : { has: () => false }

  test('of many entries are in memory as far as a batch asks for them', async () => {
    await pushImage('a1', LARGE)
    await pushImage('a2', 2)
    const manifests = createManifests(ROOM)
    const wanted = digest(`b${LARGE - 1}`)
    const [large, small] = await learned(manifests, ['a1', 'a2'], wanted, digest('d'))
    expect(['b0', 'd', `b${LARGE - 1}`].map((name) => layersOf(large).has(digest(name)))).toEqual([false, false, true])
    expect(['b0', 'b1', 'b2'].map((name) => layersOf(small).has(digest(name)))).toEqual([true, true, false])
    expect(manifests.entries()).toBe(MOST_ENTRIES + 2)
    const [again] = await learned(manifests, ['a1'], digest('b0'))
    expect(layersOf(again).has(digest('b0'))).toBe(true)
    expect(layersOf(again).has(wanted)).toBe(false)
  })

  test('of many entries are not looked up again by a batch that does not name them', async () => {
    await pushImage('a1', LARGE)
    const manifests = createManifests(ROOM)
    await learned(manifests, ['a1'], digest('b0'))
    const unused = {
      getExecutor: () => {
        throw new Error('a statement was executed')
      },
    }
    await expect(manifests.learn(unused, [], requestsFor(digest('b1')))).resolves.toBeUndefined()
    await expect(manifests.learn(unused, [digest('a1')], requestsFor(digest('b1')))).rejects.toThrow('a statement')
  })

  test('are in memory as far as a batch asks for them once memory is full', async () => {
    const names = ['a1', 'a2', 'a3', 'a4', 'a5', 'a6']
    for (const name of names) await pushImage(name, 240)
    const manifests = createManifests(ROOM)
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
    const asked = [CONFIGURATION, digest('b1'), digest(`e${LARGE - 1}`), digest('a1')]
    const names = ['a1', 'a2', 'a3', 'a4', 'a5']
    const known = await learned(createManifests(room), names, ...asked)
    const listed = (some: { has: (digest: string) => boolean } | undefined): boolean[] =>
      asked.map((one) => some?.has(one) === true)
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

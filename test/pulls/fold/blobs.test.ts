import { describe, expect, test } from '@jest/globals'
import type { Digest, Tag } from '../../../src/events/reference.js'
import type { ManifestContents } from '../../../src/pulls/fold/contents.js'
import type { PullOutcome } from '../../../src/pulls/fold/outcome.js'
import type { FoldRequest } from '../../../src/pulls/fold/state.js'
import { fold } from '../../servers/folding.js'

const MINUTE = 60_000_000
const HOUR = 60 * MINUTE
const IMAGE = 'application/vnd.oci.image.manifest.v1+json'

type Wanted = Partial<Omit<FoldRequest, 'digest' | 'tag'>> & { at: number; digest?: string; tag?: string }

const folded = (requests: readonly Wanted[], contents: Record<string, ManifestContents> = {}): PullOutcome[] =>
  fold(
    requests.map(({ digest, tag, ...request }) => ({
      bytes: 100,
      ...(digest !== undefined && { digest: digest as Digest }),
      ...(tag !== undefined && { tag: tag as Tag }),
      ...request,
    })),
    contents,
  )

const manifest = (at: number, more: Partial<Wanted> = {}): Wanted => ({ at, digest: 'm', mediaType: IMAGE, ...more })
const blob = (at: number, digest: string, more: Partial<Wanted> = {}): Wanted => ({
  ...{ at, object: 'blob', digest, bytes: 1_000 },
  ...more,
})
const SIGNATURE = `sha256-${'0'.repeat(64)}.sig`
const image: ManifestContents = { kind: 'image', layers: new Set(['l1', 'l2']), config: 'c' }

describe.each([
  ['known', { m: image }],
  ['not known', {}],
])('a pull whose contents are %s', (_, contents) => {
  test('counts the bytes of each blob once, however often they are requested', () => {
    const requests = ['c', 'l1', 'l1', 'l2', 'c', 'l1'].map((digest, i) => blob(i * MINUTE + 1, digest))
    expect(folded([manifest(0, { tag: '1.0' }), ...requests], contents)).toMatchObject([{ gets: 1, bytes: 3_100 }])
  })

  test('lasts as long as its blobs arrive, even for days', () => {
    const requests = Array.from({ length: 150 }, (_, i) => blob((i + 1) * 29 * MINUTE, 'l1'))
    expect(folded([manifest(0, { tag: '1.0' }), ...requests], contents)).toMatchObject([
      { what: 'invocation', layers: 1, bytes: 1_100 },
    ])
  })

  test('takes no blob half an hour after its last one', () => {
    const requests = [blob(29 * MINUTE, 'l1'), blob(60 * MINUTE, 'l1')]
    expect(folded([manifest(0, { tag: '1.0' }), ...requests], contents).map(({ what }) => what)).toEqual([
      'invocation',
      'orphan',
    ])
  })

  test('no longer changes six hours after it began, so that its day ends', () => {
    const requests = Array.from({ length: 30 }, (_, i) => blob((i + 1) * 20 * MINUTE, i < 17 ? 'l1' : 'l2'))
    const [early] = folded([manifest(0, { tag: '1.0' }), ...requests], contents)
    expect(early).toMatchObject({ layers: 2, bytes: 2_100 })
    const late = requests.map((one) => ({ ...one, digest: one.at > 6 * HOUR ? 'l2' : 'l1' }))
    expect(folded([manifest(0, { tag: '1.0' }), ...late], contents)).toMatchObject([{ layers: 1, bytes: 1_100 }])
  })

  test('counts the bytes of a blob for each of ten nodes behind one address', () => {
    const at = (i: number): number => (i + 1) * MINUTE
    const pulls = Array.from({ length: 10 }, (_, i) => manifest(i, { tag: '1.0' }))
    const blobs = Array.from({ length: 10 }, (_, i) => blob(at(i), 'l1'))
    const outcomes = folded([...pulls, ...blobs], contents)
    expect(outcomes).toHaveLength(10)
    for (const one of outcomes) expect(one).toMatchObject({ what: 'invocation', layers: 1, bytes: 1_100 })
    // One more request is a repetition.
    const more = folded([...pulls, ...blobs, blob(at(10), 'l1')], contents)
    expect(more.reduce((sum, one) => sum + ('bytes' in one ? one.bytes : 0), 0)).toBe(11_000)
  })
})

test('a manifest that a client fetches twice counts its bytes once', () => {
  const twice = { tag: '1.0', fetchesTwice: true }
  expect(folded([manifest(0, twice), manifest(1, twice)])).toMatchObject([{ gets: 2, bytes: 100 }])
})

test('a blob that no known image lists goes to a pull that may list it, the latest first', () => {
  const requests = [
    manifest(0, { tag: '1.0', digest: 'u' }),
    manifest(1, { tag: '2.0', digest: 'v' }),
    manifest(2, { tag: '3.0' }),
    ...['x', 'x', 'x', 'l1', 'l1'].map((digest, i) => blob(i + 3, digest)),
  ]
  const outcomes = folded(requests, { m: image })
  expect(outcomes.map((one) => [one.at, 'layers' in one && one.layers, 'bytes' in one && one.bytes])).toEqual([
    [0, 1, 1_100],
    [1, 1, 1_100],
    [2, 1, 1_100],
  ])
})

test('a client that fetches each manifest twice makes the contents of its pull no less known', () => {
  const twice = { tag: '1.0', fetchesTwice: true }
  const requests = [manifest(0, { tag: '2.0', digest: 'u' }), manifest(1, twice), manifest(2, twice), blob(3, 'x')]
  expect(folded(requests, { m: image }).map((one) => 'layers' in one && one.layers)).toEqual([1, 0])
})

test('a blob belongs to no pull that began after it', () => {
  const outcomes = folded([manifest(10, { tag: '1.0' }), blob(9, 'l1')])
  expect(outcomes.map(({ what }) => what)).toEqual(['invocation', 'orphan'])
})

test('several nodes behind one address each count the bytes of a layer', () => {
  const requests = [0, 1, 2].flatMap((at) => [manifest(at * 10, { tag: '1.0' }), blob(at * 10 + 1, 'l1')])
  expect(folded(requests, { m: image }).map((one) => 'bytes' in one && one.bytes)).toEqual([1_100, 1_100, 1_100])
})

test('a session without a manifest counts the bytes of each blob once', () => {
  const requests = Array.from({ length: 8 }, (_, i) => blob(i * 25 * MINUTE, i % 2 === 0 ? 'l1' : 'l2'))
  expect(folded(requests)).toMatchObject([{ what: 'orphan', bytes: 2_000 }])
})

describe('an artifact fetch', () => {
  test('takes its blobs, listed or not', () => {
    const blobs = [blob(1, 's'), blob(29 * MINUTE, 's'), blob(50 * MINUTE, 't')]
    for (const known of [{}, { m: { kind: 'artifact', blobs: new Set(['s', 't']) } as const }])
      expect(folded([manifest(0, { tag: SIGNATURE }), ...blobs], known)).toMatchObject([
        { what: 'artifact', bytes: 2_100 },
      ])
  })

  test('leaves a layer to the pull that lists the layer, and takes layers that no pull lists', () => {
    const requests = [
      manifest(0, { tag: '1.0' }),
      manifest(1, { tag: SIGNATURE, digest: 's' }),
      blob(2, 'l1'),
      blob(3, 'x'),
    ]
    const outcomes = folded(requests, { m: image })
    expect(outcomes.find(({ what }) => what === 'artifact')).toMatchObject({ bytes: 1_100 })
    expect(outcomes.find(({ what }) => what === 'invocation')).toMatchObject({ layers: 1, bytes: 1_100 })
  })

  test('leaves all blobs to a pull with unknown contents: a download is no manifest-only pull', () => {
    const requests = [manifest(0, { tag: '1.0' }), manifest(1, { tag: SIGNATURE, digest: 's' }), blob(2, 'l1')]
    expect(folded(requests).find(({ what }) => what === 'invocation')).toMatchObject({ layers: 1 })
  })

  test('stays one for each request, however many there are at once', () => {
    const requests = Array.from({ length: 1_000 }, (_, i) => manifest(i, { tag: SIGNATURE }))
    expect(folded(requests).filter(({ what }) => what === 'artifact')).toHaveLength(1_000)
  })
})

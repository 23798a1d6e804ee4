import { describe, expect, test } from '@jest/globals'
import { parseTimestamp } from '../../../src/events/calendar.js'
import type { Digest, RepositoryPath, Tag } from '../../../src/events/reference.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { chainIn, textOf } from '../../../src/pulls/fold-job/chain-text.js'
import type { ManifestContents } from '../../../src/pulls/fold/contents.js'
import { createByOrigin } from '../../../src/pulls/fold-job/by-origin.js'
import { foldBatch, type Chains } from '../../../src/pulls/fold-job/fold-batch.js'
import { createShare } from '../../../src/pulls/fold-job/share.js'
import type { PendingRequest } from '../../../src/pulls/requests/pending.js'

const DIGEST = `sha256:${'a'.repeat(64)}` as Digest
const NEEDS = { contentsIn: () => () => undefined, windows: WINDOWS }

const request = (
  id: string,
  time: string,
  { origin, ...more }: Partial<PendingRequest> & { origin: string },
): PendingRequest => ({
  id,
  at: parseTimestamp(time) ?? NaN,
  registry: 'registry.example',
  repository: 'team/app' as RepositoryPath,
  object: 'manifest',
  method: 'GET',
  status: 200,
  digest: DIGEST,
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  origin,
  who: `who ${origin} is`,
  ...more,
})

/** The chains as another process loads them. */
const keptAndRead = (chains: Chains): Chains => {
  const read: Chains = createByOrigin()
  for (const { chain, who } of chains.values())
    read.set(chain.key, { chain: chainIn(textOf(chain), chain.key, createShare()), who })
  return read
}

describe('a pull across the change of the salt', () => {
  const head = request('1', '2026-11-30T23:59:59Z', { origin: 'november', method: 'HEAD', tag: '1.0' as Tag })
  const get = request('2', '2026-12-01T00:00:01Z', { origin: 'december', previous: 'november' })
  const later = request('3', '2026-12-01T00:10:00Z', { origin: 'december', previous: 'november' })

  test('is one pull, of the origin that began it', () => {
    const outcomes = foldBatch({ requests: [head, get], chains: createByOrigin() }, NEEDS)
    expect(outcomes).toMatchObject([{ outcome: { id: '1', gets: 1, origin: 'november' }, who: 'who november is' }])
  })

  test('is one pull if the salt changes between two batches', () => {
    const chains: Chains = createByOrigin()
    foldBatch({ requests: [head], chains }, NEEDS)
    const outcomes = foldBatch({ requests: [get], chains: keptAndRead(chains) }, NEEDS)
    expect(outcomes).toMatchObject([{ outcome: { id: '1', gets: 1, origin: 'november' }, before: { gets: 0 } }])
  })

  test('leaves requests that continue no earlier pull to the new origin', () => {
    const outcomes = foldBatch({ requests: [later, get, head], chains: createByOrigin() }, NEEDS)
    expect(outcomes.map(({ outcome: { id, origin } }) => [id, origin])).toEqual(
      expect.arrayContaining([
        ['1', 'november'],
        ['3', 'december'],
      ]),
    )
  })
})

describe('a lazy pull across the change of the salt', () => {
  const get = request('1', '2026-11-30T23:50:00Z', { origin: 'november', tag: '1.0' as Tag })
  const later = { origin: 'december', previous: 'november' }
  const layer = (id: string, time: string, name: string): PendingRequest =>
    request(id, time, { ...later, object: 'blob', digest: name as Digest, bytes: 10 })
  const final = (requests: PendingRequest[]): unknown[] =>
    foldBatch({ requests, chains: createByOrigin() }, NEEDS).map(({ outcome }) => [outcome.id, outcome.what, outcome])

  test('takes its blobs as long as they arrive', () => {
    const blobs = Array.from({ length: 12 }, (_, i) =>
      layer(String(i + 2), new Date(Date.parse('2026-12-01T00:15:00Z') + i * 25 * 60_000).toISOString(), `l${i}`),
    )
    expect(final([get, ...blobs])).toMatchObject([['1', 'invocation', { layers: 12, bytes: 120, origin: 'november' }]])
  })

  test('takes no blob of a pull that began after the change', () => {
    const second = request('2', '2026-12-01T00:05:00Z', { ...later, tag: '1.0' as Tag })
    const blobs = ['l1', 'l2', 'l3'].map((name, i) => layer(String(i + 3), `2026-12-01T00:0${i + 6}:00Z`, name))
    expect(final([get, second, ...blobs])).toMatchObject([
      ['1', 'invocation', { layers: 0 }],
      ['2', 'invocation', { layers: 3 }],
    ])
  })
})

describe('an open outcome', () => {
  const head = request('1', '2026-11-18T10:00:00Z', { origin: 'one', method: 'HEAD', tag: '1.0' as Tag })
  const get = request('2', '2026-11-18T10:00:01Z', { origin: 'one', tag: '1.0' as Tag })
  const again = request('3', '2026-11-18T10:00:02Z', { origin: 'one', method: 'HEAD' })
  const other = request('4', '2026-11-18T10:00:03Z', { origin: 'two', method: 'HEAD', tag: '1.0' as Tag })

  test('is returned again only if it has grown', () => {
    const chains: Chains = createByOrigin()
    const returned = [[head], [get], [again], [other]].map((requests) =>
      foldBatch({ requests, chains }, NEEDS).map(({ outcome, before }) => [outcome.id, before?.gets]),
    )
    expect(returned).toEqual([[['1', undefined]], [['1', 0]], [], [['4', undefined]]])
  })
})

describe('an origin that begins more than can stay open', () => {
  test('loses no invocation', () => {
    const requests = Array.from({ length: 5_000 }, (_, i) =>
      request(String(i).padStart(5, '0'), '2026-11-18T10:00:00Z', {
        origin: 'one',
        method: 'HEAD',
        tag: 'latest' as Tag,
      }),
    )
    const outcomes = foldBatch({ requests, chains: createByOrigin() }, NEEDS)
    expect(new Set(outcomes.map(({ outcome }) => outcome.id)).size).toBe(5_000)
  })
})

describe('a client that fetches more manifests than a chain may contain', () => {
  const INDEXES = 20
  const CHILDREN = 1_000
  const digestAt = (index: number, child: number): Digest => `sha256:${`${index}.${child}`.padStart(64, '0')}` as Digest
  const contents = new Map<string, ManifestContents>(
    Array.from({ length: INDEXES }, (_one, index) => [
      digestAt(index, CHILDREN),
      { kind: 'index', children: new Set(Array.from({ length: CHILDREN }, (_child, i) => digestAt(index, i))) },
    ]),
  )
  const START = parseTimestamp('2026-11-18T10:00:00Z') ?? NaN
  let id = 0
  const ask = (digest: Digest, more: Partial<PendingRequest> = {}): PendingRequest => {
    const number = ++id
    return {
      ...request(String(number).padStart(6, '0'), '2026-11-18T10:00:00Z', { origin: 'client', digest, ...more }),
      at: START + number,
    }
  }
  const manifests = Array.from({ length: INDEXES }, (_one, index) => [
    ask(digestAt(index, CHILDREN), { mediaType: 'application/vnd.oci.image.index.v1+json' }),
    ...Array.from({ length: CHILDREN }, (_child, i) => ask(digestAt(index, i))),
  ]).flat()
  const blobs = Array.from({ length: 3 }, (_one, i) => ask(digestAt(99, i), { object: 'blob', bytes: 10 }))
  let lookups = 0
  const needs = {
    windows: WINDOWS,
    contentsIn:
      () =>
      (digest: string): ManifestContents | undefined => {
        lookups++
        return contents.get(digest)
      },
  }

  test('is compared with a bounded number of them, and has the same result however the requests are split', () => {
    const chains: Chains = createByOrigin()
    const whole = foldBatch({ requests: manifests, chains }, needs)
    lookups = 0
    whole.push(...foldBatch({ requests: blobs, chains }, needs))
    expect(lookups / blobs.length).toBeLessThan(12_000)
    expect(whole).toHaveLength(INDEXES + 1)

    const split: typeof whole = []
    let kept: Chains = createByOrigin()
    const all = [...manifests, ...blobs]
    for (let from = 0; from < all.length; from += 5_001) {
      split.push(...foldBatch({ requests: all.slice(from, from + 5_001), chains: kept }, needs))
      kept = keptAndRead(kept)
    }
    const last = (outcomes: typeof whole): Map<string, unknown> =>
      new Map(
        outcomes.map(({ outcome: { id: of, what, bytes, ...more } }) => [
          of,
          [what, bytes, 'gets' in more && more.gets],
        ]),
      )
    expect(last(split)).toEqual(last(whole))
    expect([...last(whole).values()]).toContainEqual(['invocation', 30, CHILDREN + 1])
  })
})

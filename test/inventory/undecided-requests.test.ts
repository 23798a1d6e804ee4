import { describe, expect, test } from '@jest/globals'
import { blob, imageWithLayer, useAsking, type Wanted } from '../servers/asking.js'
import { digestOf } from '../servers/history.js'
import { OCI_IMAGE } from '../servers/manifests.js'
import { STORE_PAIRS } from '../servers/stores.js'
import { put, stubRegistry } from '../servers/stub-registry.js'
import { reconcile } from '../../src/inventory/reconcile/reconcile.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const JANUARY = '2026-01-10T10:00:00Z'
const FEBRUARY = '2026-02-10T10:00:00Z'
const LATELY = '2026-11-20T10:00:00Z'
const LISTS = ['untagged-manifests', 'unused-images', 'last-used'] as const

const image = (name: string, more: Wanted = {}): Wanted => imageWithLayer(name, { at: JANUARY, ...more })
/** Tags 1 and 2, and an image without a tag. */
const PUSHED: Wanted[] = [
  ...['ca1', 'ba1', 'ca2', 'ba2', 'ca3', 'ba3'].map((name) => blob(name, { at: JANUARY })),
  image('a1', { tag: '1' }),
  image('a2', { tag: '2' }),
  image('a3'),
]
/** A pull in another repository: pulls of the registry arrive. */
const ELSEWHERE: Wanted[] = [
  { repository: 'other', tag: 'x', object: 'manifest', digest: digestOf('e1'), action: 'pull', at: LATELY },
]
const byTag = (tag: string, more: Wanted = {}): Wanted => ({
  action: 'pull',
  object: 'manifest',
  tag,
  at: LATELY,
  ...more,
})
const byDigest = (name: string, more: Wanted = {}): Wanted => ({
  action: 'pull',
  digest: digestOf(name),
  at: LATELY,
  ...more,
})
const HEAD: Wanted = { method: 'HEAD', address: '192.0.2.1', userAgent: 'containerd/2' }

describe.each(STORE_PAIRS)('a request whose event does not show what was requested, on %s', (_, open) => {
  const { stores, asking, startAnew } = useAsking(open, NOW)
  const parametersOf = (list: (typeof LISTS)[number]): object =>
    list === 'untagged-manifests' ? {} : { unused_for: '30d' }
  const offered = async (): Promise<unknown[]> => {
    const all = []
    for (const list of LISTS) all.push([list, (await asking.digests(list, parametersOf(list))).join()])
    return all
  }
  const expectNothingOffered = async (): Promise<void> => {
    expect(await offered()).toEqual(LISTS.map((list) => [list, '']))
    for (const list of LISTS) {
      const { notes = [] } = await asking.answer(list, parametersOf(list))
      expect([list, notes.filter((note) => note.includes('does not show which manifest or blob'))]).toEqual([
        list,
        [expect.stringContaining('registry.example/team/app at 20')],
      ])
    }
  }
  const lastUsed = async (): Promise<unknown[]> =>
    (await asking.items('last-used', { repository: 'team/app' }))
      .map(({ tag, last_used_at, last_pulled_at }) => [tag, last_used_at, last_pulled_at])
      .sort()
  const manifests = async (): Promise<string[]> => asking.digests('manifests', { repository: 'team/app' })

  test('is needed for nothing to be offered', async () => {
    await asking.ingest(...PUSHED, ...ELSEWHERE)
    expect(await offered()).toEqual([
      ['untagged-manifests', 'a3'],
      ['unused-images', 'a1,a2'],
      ['last-used', 'a1,a2'],
    ])
  })

  test.each([
    ['pull', {}, LATELY],
    ['check', HEAD, null],
  ])('is a use of the tag that a %s names without a digest', async (_what, more, pulledAt) => {
    await asking.ingest(...PUSHED, ...ELSEWHERE, byTag('1', more))
    const at = (moment: string | null): unknown =>
      moment === null ? null : expect.stringContaining(moment.slice(0, 19))
    expect(await lastUsed()).toEqual([
      ['1', at(LATELY), at(pulledAt)],
      ['2', null, null],
    ])
    await expectNothingOffered()
  })

  test.each([
    ['in order', (all: Wanted[]) => all],
    ['in reverse', (all: Wanted[]) => [...all].reverse()],
    ['twice', (all: Wanted[]) => [...all, ...[...all].reverse()]],
  ])('counts whether events come %s, one by one or together', async (_how, order) => {
    const all = [...PUSHED, ...ELSEWHERE, byTag('1'), byTag('2', HEAD), byTag('7'), byDigest('9f')]
    const answers = []
    for (const send of ['ingest', 'ingestMany'] as const) {
      await startAnew()
      await asking[send](...order(all))
      await expectNothingOffered()
      answers.push([await lastUsed(), await manifests()])
    }
    expect(answers[0]).toEqual(answers[1])
    expect(answers[0]?.[1]).toEqual(['a1', 'a2', 'a3'])
  })

  test('by an unknown tag shows no tag, and where it points to stays unknown', async () => {
    await asking.ingest(...PUSHED, ...ELSEWHERE, byTag('7', { at: FEBRUARY }))
    expect(await asking.items('tags', { repository: 'team/app' })).toHaveLength(2)
    expect(await offered()).toEqual([
      ['untagged-manifests', ''],
      ['unused-images', 'a1,a2'],
      ['last-used', 'a1,a2'],
    ])
    await asking.ingest(image('a1', { tag: '7', action: 'pull', at: '2026-03-10T10:00:00Z' }))
    expect((await offered())[0]).toEqual(['untagged-manifests', 'a3'])
  })

  test('that pushes a tag leaves open where the tag points to', async () => {
    await asking.ingest(...PUSHED, ...ELSEWHERE, byTag('1', { action: 'push', at: FEBRUARY }))
    await asking.summary()
    expect((await offered())[0]).toEqual(['untagged-manifests', ''])
    expect(await asking.items('orphaned-blobs')).toEqual([])
  })

  test('by a digest of unknown kind is a use of the manifest that the repository has', async () => {
    await asking.ingest(...PUSHED, ...ELSEWHERE, byDigest('a1'))
    expect(await lastUsed()).toEqual([
      ['1', expect.stringContaining(LATELY.slice(0, 19)), expect.stringContaining(LATELY.slice(0, 19))],
      ['2', null, null],
    ])
    await expectNothingOffered()
  })

  test('by a digest of unknown kind is a use of the blob that the repository has', async () => {
    await asking.ingest(...PUSHED, ...ELSEWHERE, byDigest('ba1'))
    const [row] = await asking.items('blobs', { digest: digestOf('ba1'), repository: 'team/app' })
    expect(row?.used_at).toEqual(expect.stringContaining(LATELY.slice(0, 19)))
    expect(await manifests()).toEqual(['a1', 'a2', 'a3'])
    await expectNothingOffered()
  })

  test('by an unknown digest shows neither a manifest nor a blob', async () => {
    await asking.ingest(...PUSHED, ...ELSEWHERE, byDigest('9f'))
    expect(await manifests()).toEqual(['a1', 'a2', 'a3'])
    expect(await asking.items('blobs', { digest: digestOf('9f') })).toEqual([])
    await expectNothingOffered()
  })

  test('long ago leaves nothing out', async () => {
    await asking.ingest(...PUSHED, ...ELSEWHERE, byTag('1', { at: FEBRUARY }), byDigest('a2', { at: FEBRUARY }))
    expect(await offered()).toEqual([
      ['untagged-manifests', 'a3'],
      ['unused-images', 'a1,a2'],
      ['last-used', 'a1,a2'],
    ])
  })

  test('moves with its repository', async () => {
    const rename = { what: 'repository', from: 'team/old', to: 'team/app' } as NonNullable<Wanted['rename']>
    const old = [...PUSHED, byTag('1'), byDigest('a2')].map((one) => ({ ...one, repository: 'team/old' }))
    await asking.ingest(...old, ...ELSEWHERE, {
      action: 'rename',
      repository: 'team/old',
      rename,
      at: '2026-11-21T10:00:00Z',
    })
    expect(await offered()).toEqual(LISTS.map((list) => [list, '']))
  })

  const listed = async (list: string, parameters: object = {}): Promise<unknown> =>
    (await asking.items(list, parameters)).length

  test('a push without a digest makes it unknown what the tag points to, also shortly before a request that reports one', async () => {
    const pushed = { action: 'push', object: 'manifest', tag: '1' } as const
    await asking.ingest(
      ...PUSHED,
      ...ELSEWHERE,
      { ...pushed, at: FEBRUARY },
      image('a2', { action: 'pull', at: LATELY }),
    )
    for (const list of ['unused-images', 'last-used']) {
      const digests = await asking.digests(list, { unused_for: '30d' })
      expect([list, digests.includes('a1')]).toEqual([list, false])
    }
    await stores.clear()
    const second = FEBRUARY.replace(':00Z', ':01Z')
    await asking.ingest(...PUSHED, ...ELSEWHERE, { ...pushed, at: FEBRUARY })
    await asking.ingest(image('a1', { action: 'pull', tag: '1', at: second }))
    expect(await listed('untagged-manifests')).toBe(0)
  })

  test('a push of an unknown object may be of any manifest or blob', async () => {
    const MINUTE_AGO = '2026-11-27T11:59:00Z'
    await asking.ingest(...PUSHED, blob('b9', { at: JANUARY }), ...ELSEWHERE)
    await asking.summary()
    expect([await listed('orphaned-blobs'), await listed('untagged-manifests')]).toEqual([1, 1])
    await asking.ingest({ action: 'push', digest: digestOf('b9'), at: MINUTE_AGO })
    await asking.summary()
    expect([await listed('orphaned-blobs'), await listed('untagged-manifests')]).toEqual([0, 0])
  })

  test('a reconciliation shows that the registry lacks a tag that was only requested', async () => {
    await asking.ingest(...PUSHED, ...ELSEWHERE, byTag('7', { at: FEBRUARY }))
    expect(await listed('untagged-manifests', { unused_for: '30d' })).toBe(0)
    const registry = stubRegistry()
    for (const [name, tag] of [['a1', '1'], ['a2', '2'], ['a3']] as const) {
      const { references = [] } = image(name)
      put(
        registry.repository('team/app'),
        { digest: digestOf(name), mediaType: OCI_IMAGE, size: 500, contents: references },
        tag,
      )
    }
    const deps = { database: stores.database, client: registry, now: () => NOW }
    await reconcile(deps, { registry: 'registry.example', apply: true, rate: 1_000_000 })
    expect(await listed('untagged-manifests', { unused_for: '30d' })).toBe(1)
  })
})

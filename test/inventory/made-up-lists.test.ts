import { beforeEach, describe, expect, test } from '@jest/globals'
import type { Descriptor } from '../../src/events/descriptor.js'
import { type Item } from '../../src/inventory/questions/ask.js'
import { QUESTIONS } from '../../src/inventory/questions/questions.js'
import type { Question } from '../../src/inventory/questions/question.js'
import { blob, OCI_LAYER, short, useAsking, type Wanted } from '../servers/asking.js'
import { digestOf } from '../servers/history.js'
import { OCI_CONFIG, OCI_IMAGE, OCI_INDEX } from '../servers/manifests.js'
import { STORE_PAIRS } from '../servers/stores.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const OLD = '2026-01-10T10:00:00Z'
const WEB = { repository: 'web' }

const part = (name: string, mediaType: string): Descriptor => ({ digest: digestOf(name), mediaType, size: 20 })
const manifest = (name: string, references: Descriptor[], more: Wanted = {}): Wanted => ({
  ...{ object: 'manifest', digest: digestOf(name), mediaType: OCI_IMAGE, size: 500, references, at: OLD },
  ...more,
})
const image = (name: string, more: Wanted = {}): Wanted =>
  manifest(name, [part(`c${name}`, OCI_CONFIG), part(`b${name}`, OCI_LAYER)], more)
const index = (name: string, indexes: readonly string[], images: readonly string[], more: Wanted = {}): Wanted =>
  manifest(name, [...indexes.map((one) => part(one, OCI_INDEX)), ...images.map((one) => part(one, OCI_IMAGE))], {
    mediaType: OCI_INDEX,
    ...more,
  })
const names = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`)
const others = (all: readonly string[], name: string): string[] => all.filter((one) => one !== name)
const deleted = (name: string, more: Wanted = {}): Wanted => ({
  action: 'delete',
  digest: digestOf(name),
  at: OLD,
  ...more,
})

/** One finding of each kind, in a repository of its own. */
const ORDINARY: Wanted[] = [
  blob('0f', { at: OLD }),
  ...['ca1', 'ba1', 'ca2', 'ba2'].map((name) => blob(name, { at: OLD })),
  image('a1', { tag: '1' }),
  image('a2'),
  index('d1', [], ['a1'], { tag: 'all' }),
  deleted('ba1', { at: '2026-01-11T10:00:00Z' }),
]

/** What questions about clean-up offer of the ordinary repository. */
const OFFERED: Record<string, string[]> = {
  'orphaned-blobs': ['f'],
  'untagged-manifests': ['a2'],
  'unused-images': ['a1', 'd1'],
  'last-used': ['a1', 'd1'],
}

/** Parameters with which each question is asked. */
const variantsOf = ({ name, parameters }: Question): Record<string, string>[] => {
  const required: Record<string, string> = {
    ...('older_than' in parameters && { older_than: '30d' }),
    ...('reference' in parameters && { repository: WEB.repository, reference: 'tag0' }),
    ...('tag' in parameters && { repository: WEB.repository, tag: 'tag0' }),
    ...(parameters.unused_for?.required && { unused_for: '30d' }),
  }
  const all = [required]
  if ('unused_for' in parameters) all.push({ ...required, unused_for: '30d' })
  if (name === 'unused-images') all.push({ ...required, unused_for: '30d', without_kind: 'scanner' })
  if ('prefix' in parameters) all.push({ ...required, prefix: 'we' })
  if ('repository' in parameters) all.push({ ...required, ...WEB })
  if ('registry' in parameters && !('unused_for' in parameters)) all.push({ ...required, registry: 'registry.example' })
  return all
}

/** Rows of all repositories. */
const ofAll = (question: Question): Record<string, string>[] => {
  const required = variantsOf(question).slice(0, 1)
  return 'unused_for' in question.parameters ? required.map((all) => ({ ...all, unused_for: '30d' })) : required
}

describe.each(STORE_PAIRS)('indexes that list each other, on %s', (pair, open) => {
  // 1,560 and 10,920 entries: indexes above what lacks a part are followed in the first repository, and not in the second.
  const count = pair === 'the embedded stores' ? 40 : 105

  const { asking } = useAsking(open, NOW)
  beforeEach(async () => {
    await asking.ingest(...ORDINARY)
  })
  const shortNames = (items: readonly Item[]): string[] => items.map(({ digest }) => short(digest)).sort()

  /** Every question is answered, and those about clean-up offer what the ordinary repository has, and nothing else. */
  const expectAnswers = async (variants = variantsOf): Promise<void> => {
    await asking.summary()
    for (const question of QUESTIONS) {
      for (const parameters of variants(question)) {
        const { items } = await asking.answer(question.name, parameters)
        const expected = OFFERED[question.name]
        if (!expected || (question.name === 'last-used' && parameters.unused_for === undefined)) continue
        const isOfWeb = parameters.repository === WEB.repository
        expect({ name: question.name, parameters, items: shortNames(items) }).toEqual({
          ...{ name: question.name, parameters, items: isOfWeb ? [] : expected },
        })
      }
    }
    const missing = await asking.items('missing-blobs', { repository: 'team/app' })
    expect(missing.map((one) => [short(one.manifest_digest), short(one.blob_digest)])).toEqual([
      ['a1', 'ba1'],
      ['d1', 'ba1'],
    ])
  }

  test('are counted, and nothing that they list is offered', async () => {
    const all = names('1d', count)
    await asking.ingestMany(
      ...[
        ...['cf1', 'bf1', 'cf2', 'bf2'].map((name) => blob(name, { at: OLD, ...WEB })),
        image('f1', WEB),
        image('f2', WEB),
        ...all.map((one, i) => index(one, others(all, one), i === 0 ? ['f1', 'f2'] : [], { ...WEB, tag: `tag${i}` })),
        deleted('bf1', { ...WEB, at: '2026-01-11T10:00:00Z' }),
      ],
    )
    await expectAnswers()
    // All indexes lack it, as each leads to the one that lists the image.
    const missing = await asking.answer('missing-blobs', { ...WEB, limit: '1000' })
    const isFollowed = count * (count - 1) <= 10_000
    expect(missing.items).toHaveLength(isFollowed ? count + 1 : 2)
    expect(missing.unknown).toEqual(isFollowed ? undefined : { contents: count })
    expect(new Set(missing.items.map((one) => short(one.blob_digest)))).toEqual(new Set(['bf1']))
    // How many bytes such an index comes to is not known.
    expect((await asking.items('images', WEB))[0]).toMatchObject({ size: null })
    // The tags may be in use: whether anybody uses one of the others is not followed to the end.
    const { items } = await asking.answer('last-used', { limit: '1000' })
    expect(items.slice(-count).every(({ repository }) => repository === 'web')).toBe(true)
  })

  test('in a chain', async () => {
    const all = names('1d', count)
    await asking.ingestMany(
      ...[
        ...['cf1', 'bf1', 'cf2', 'bf2'].map((name) => blob(name, { at: OLD, ...WEB })),
        image('f1', WEB),
        image('f2', WEB),
        ...all.map((one, i) =>
          index(one, all.slice(i + 1, i + 2), i === count - 1 ? ['f1', 'f2'] : [], { ...WEB, tag: `tag${i}` }),
        ),
        ...all.map((one) => index(one, [], [], { ...WEB, action: 'pull', at: '2026-11-26T10:00:00Z' })).slice(0, 1),
        deleted('bf1', { ...WEB, at: '2026-01-11T10:00:00Z' }),
      ],
    )
    await expectAnswers(ofAll)
    // The image, and the indexes of the first levels above it; of the others it is not known what they lack.
    const { items, unknown, notes } = await asking.answer('missing-blobs', WEB)
    expect(items.map((one) => short(one.manifest_digest)).sort()).toEqual([...all.slice(-3), 'f1'])
    expect(unknown).toEqual({ contents: count - 3 })
    expect(notes?.join()).toContain(`contents of ${count - 3} manifests are unknown`)
  })

  test('and that events showed in another repository alone', async () => {
    const observed = names('1d', pair === 'the embedded stores' ? 20 : 40)
    const unobserved = names('2d', observed.length / 2)
    const deeper = names('3d', observed.length / 2)
    const web = (more: Wanted, elsewhere: Wanted): Wanted[] => [
      ...['cf1', 'bf1', 'cf2', 'bf2'].map((name) => blob(name, { at: OLD, ...more })),
      image('f1', more),
      image('f2', more),
      blob('bf9', { at: OLD, ...more }),
      ...observed.map((one, i) => index(one, unobserved, [], { ...more, tag: `tag${i}` })),
      ...unobserved.map((one) => index(one, [...observed, ...others(unobserved, one), ...deeper], ['f1'], elsewhere)),
      ...deeper.map((one) => index(one, [...observed, ...unobserved, ...others(deeper, one)], ['f1'], elsewhere)),
    ]
    await asking.ingestMany(
      ...[
        ...web(WEB, { repository: 'elsewhere' }),
        ...web({ ...WEB, registry: 'mirror.example' }, { repository: 'elsewhere', registry: 'mirror.example' }),
      ],
    )
    await asking.summary()
    for (const name of ['orphaned-blobs', 'untagged-manifests']) {
      expect(await asking.digests(name)).toEqual(OFFERED[name])
      const { unknown, notes } = await asking.answer(name, WEB)
      expect(unknown?.contents).toBeGreaterThan(0)
      expect(notes?.[0]).toMatch(/^contents of [\d,]+ manifests are unknown/)
    }
    for (const question of QUESTIONS) {
      for (const parameters of ofAll(question)) await asking.answer(question.name, parameters)
    }
    expect(
      (await asking.digests('unused-images', { unused_for: '30d' })).filter((name) => name.startsWith('1d')),
    ).toEqual([])
  })
})

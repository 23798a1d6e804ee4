import { describe, expect, test } from '@jest/globals'
import { blob, imageWithLayer, short, useAsking, type Wanted } from '../servers/asking.js'
import { digestOf } from '../servers/history.js'
import { OCI_IMAGE, OCI_INDEX } from '../servers/manifests.js'
import { STORE_PAIRS } from '../servers/stores.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const JANUARY = '2026-01-10T10:00:00Z'
const LATELY = '2026-11-20T10:00:00Z'

const image = (name: string, more: Wanted = {}): Wanted => imageWithLayer(name, { at: JANUARY, ...more })
const BLOBS = ['ca1', 'ba1', 'ca2', 'ba2'].map((name) => blob(name, { at: JANUARY }))
const entry = (name: string, mediaType?: string): NonNullable<Wanted['references']>[number] => ({
  digest: digestOf(name),
  size: 500,
  ...(mediaType !== undefined && { mediaType }),
})
/** An index of two images, of which the event does not say that it is one. */
const UNTYPED: Wanted = {
  ...{ object: 'manifest', digest: digestOf('1d'), size: 400, tag: 'all', at: JANUARY },
  references: [entry('a1', OCI_IMAGE), entry('a2', OCI_IMAGE)],
}
const withoutTypes: Wanted = { ...UNTYPED, references: [entry('a1'), entry('a2')] }
const pull = (wanted: Wanted, more: Wanted = {}): Wanted => ({ ...wanted, action: 'pull', at: LATELY, ...more })

/** A list whose kind its event leaves open. */
const LISTS: [string, Wanted][] = [
  ['without a type', UNTYPED],
  ['of a type that no manifest has', { ...UNTYPED, mediaType: 'application/json' }],
  ['with entries without a type', { ...UNTYPED, references: [entry('a1', OCI_IMAGE), entry('a2')] }],
  ['with only entries without a type', withoutTypes],
  [
    'with entries of another kind of manifest',
    { ...UNTYPED, references: [entry('a1', 'a/manifest'), entry('a2', 'a/manifest')] },
  ],
]

describe.each(STORE_PAIRS)('a list without a known media type, on %s', (_, open) => {
  const { asking } = useAsking(open, NOW)
  const parts = async (): Promise<string[]> =>
    (await asking.items('tree', { repository: 'team/app', reference: 'all' })).map(
      ({ part, digest, contents }) => `${String(part)} ${short(digest)} ${String(contents)}`,
    )
  const expectNothingOffered = async (): Promise<void> => {
    await asking.summary()
    for (const question of ['untagged-manifests', 'unused-images', 'orphaned-blobs', 'missing-blobs']) {
      const parameters = question === 'unused-images' ? { unused_for: '30d' } : {}
      expect([question, await asking.items(question, parameters)]).toEqual([question, []])
    }
  }

  test.each(LISTS)('%s is no reason to offer what it lists', async (_name, list) => {
    await asking.ingest(...BLOBS, image('a1'), image('a2'), list, pull(list))
    await expectNothingOffered()
  })

  test.each(LISTS)(
    '%s is no reason to offer what it lists, if it comes first and in one envelope',
    async (_name, list) => {
      await asking.ingestMany(pull(list), list, image('a2'), image('a1'), ...BLOBS)
      await expectNothingOffered()
    },
  )

  test('is that of an index if an entry is a manifest', async () => {
    await asking.ingest(...BLOBS, image('a1'), image('a2'), UNTYPED)
    expect((await parts()).filter((part) => !part.startsWith('config') && !part.startsWith('layer'))).toEqual([
      'index 1d known',
      'manifest a1 known',
      'manifest a2 known',
    ])
  })

  test('is unknown if an entry has no type and none is a manifest', async () => {
    await asking.ingest(...BLOBS, image('a1'), image('a2'), withoutTypes)
    expect(await parts()).toEqual(['manifest 1d unknown'])
  })

  test('is that of an image if all entries are configurations and layers', async () => {
    const untyped = image('a1', { tag: 'all' })
    delete untyped.mediaType
    await asking.ingest(...BLOBS, untyped)
    expect(await parts()).toEqual(['manifest a1 known', 'config ca1 null', 'layer ba1 null'])
  })

  test.each([
    ['before', true],
    ['after', false],
  ])('is that of an index if an event states the type %s it', async (_when, isFirst) => {
    const typed: Wanted = { ...UNTYPED, mediaType: OCI_INDEX, size: 401 }
    delete typed.references
    const unsized = { ...UNTYPED }
    delete unsized.size
    const events = [pull(typed), unsized]
    await asking.ingest(...BLOBS, image('a1'), image('a2'), ...(isFirst ? events : events.reverse()))
    expect((await parts())[0]).toBe('index 1d known')
    const [row] = await asking.items('manifests', { digest: digestOf('1d') })
    expect(row).toMatchObject({ media_type: OCI_INDEX, size: 401 })
  })

  test.each([
    ['before', true],
    ['after', false],
  ])('contradicts an event that calls an index an image %s it', async (_when, isFirst) => {
    const typed: Wanted = { ...UNTYPED, mediaType: OCI_IMAGE }
    delete typed.references
    const events = [pull(typed), UNTYPED]
    await asking.ingest(...BLOBS, image('a1'), image('a2'), ...(isFirst ? events : events.reverse()))
    expect(await parts()).toEqual(['manifest 1d unknown'])
    await expectNothingOffered()
  })
})

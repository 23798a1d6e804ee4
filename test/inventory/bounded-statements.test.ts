import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { sql } from 'kysely'
import type { Descriptor } from '../../src/events/descriptor.js'
import { ask, type Item } from '../../src/inventory/questions/ask.js'
import { summarize } from '../../src/inventory/summary/summarize.js'
import type { Sql } from '../../src/storage/sql/database.js'
import { questionNamed, type Wanted } from '../servers/asking.js'
import { createCounting } from '../servers/counting.js'
import { anEvent } from '../servers/events.js'
import { noting } from '../servers/explained-rows.js'
import { digestOf } from '../servers/history.js'
import { OCI_CONFIG, OCI_IMAGE, OCI_INDEX } from '../servers/manifests.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const OLD = '2026-01-10T10:00:00Z'
const LATELY = '2026-11-26T10:00:00Z'
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'

/** Questions of tags and of manifests, with the parameters that make each look furthest. */
const ASKED: [string, Record<string, string>][] = [
  ['images', {}],
  ['old-images', { older_than: '30d' }],
  ['unused-images', { unused_for: '30d' }],
  ['unused-images', { unused_for: '30d', without_kind: 'scanner' }],
  ['last-used', {}],
  ['last-used', { unused_for: '30d' }],
  ['last-used', { unused_for: '30d', without_kind: 'scanner' }],
]
describe.each(STORE_PAIRS)('questions, on %s', (_, open) => {
  let stores: TestStores
  let ids = 0
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())
  afterEach(() => {
    jest.restoreAllMocks()
  })

  const ingest = async (events: readonly Wanted[]): Promise<void> =>
    createCounting(stores, () => NOW)
      .ingest(events.map((one) => anEvent({ id: ++ids, at: OLD, ...one })))
      .then(() => undefined)
  const names = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`)
  const parts = (all: readonly string[], mediaType: string): Descriptor[] =>
    all.map((name) => ({ digest: digestOf(name), mediaType, size: 20 }))
  const manifest = (name: string, references: Descriptor[] | undefined, more: Wanted = {}): Wanted => ({
    ...{ object: 'manifest', digest: digestOf(name), mediaType: OCI_IMAGE, size: 500 },
    ...(references && { references }),
    ...more,
  })
  const index = (name: string, images: readonly string[], more: Wanted = {}): Wanted =>
    manifest(name, parts(images, OCI_IMAGE), { mediaType: OCI_INDEX, ...more })

  /** The rows of all pages. */
  const readAll = async (
    name: string,
    parameters: Record<string, string>,
    { db = stores.database.sql, limit = '1000' }: { db?: Sql; limit?: string } = {},
  ): Promise<Item[]> => {
    const items: Item[] = []
    let cursor: string | null = null
    do {
      const all: object = { ...parameters, limit, ...(cursor !== null && { cursor }) }
      const page = await ask(db, questionNamed(name), all, NOW)
      items.push(...page.items)
      cursor = page.next
    } while (cursor !== null)
    return items
  }

  const ENTRIES = 250
  const withTags = async (tags: number): Promise<void> => {
    await stores.clear()
    const images = names('a', ENTRIES)
    await ingest([
      ...images.map((one) => manifest(one, parts([`b${one}`], LAYER))),
      ...names('tag-', tags).map((tag) => index('c0', images, { tag })),
    ])
  }

  test('read what an index leads to once for all its tags', async () => {
    // Portions become smaller on a slow machine. (PostgreSQL takes 0 for no time at all.)
    jest.spyOn(performance, 'now').mockReturnValue(1)
    const read: Record<string, [few: number, many: number]> = {}
    const key = ([name, parameters]: (typeof ASKED)[number]): string => `${name} ${JSON.stringify(parameters)}`
    for (const tags of [10, 60]) {
      await withTags(tags)
      for (const asked of ASKED) {
        const rows: number[] = []
        const items = await readAll(...asked, { db: noting(stores.database.sql, rows) })
        const total = rows.reduce((sum, one) => sum + one, 0)
        expect(new Set(items.map(({ tag }) => tag)).size).toBe(tags)
        expect(items).toHaveLength(tags)
        read[key(asked)] = [read[key(asked)]?.[0] ?? total, total]
      }
    }
    const ofEachTag = Object.entries(read).map(([asked, [few, many]]) => ({ asked, rows: (many - few) / 50 }))
    expect(ofEachTag.filter(({ rows }) => !(rows < ENTRIES))).toEqual([])
  })

  test('of manifests read a bounded number of rows for a page, if most indexes list one image', async () => {
    jest.spyOn(performance, 'now').mockReturnValue(1)
    const most: number[] = []
    for (const count of [200, 800]) {
      await stores.clear()
      await ingest([manifest('a0', parts(['ba0'], LAYER)), ...names('c', count).map((one) => index(one, ['a0']))])
      await sql`analyze`.execute(stores.database.sql)
      const rows: number[] = []
      const db = noting(stores.database.sql, rows, { withRemoved: true })
      expect(await readAll('manifests', {}, { db, limit: '100' })).toHaveLength(count + 1)
      most.push(Math.max(...rows))
    }
    const [few = NaN, many = NaN] = most
    expect(many).toBeLessThan(few * 1.5)
  })

  test.each<[string, Record<string, string>]>([
    ['unused-images', { unused_for: '30d' }],
    ['last-used', {}],
    ['untagged-manifests', { unused_for: '30d' }],
  ])(
    'of %s read a bounded number of rows, if most indexes of another registry list one image',
    async (name, parameters) => {
      jest.spyOn(performance, 'now').mockReturnValue(1)
      const most: number[] = []
      for (const count of [400, 1_600]) {
        await stores.clear()
        await ingest([
          ...names('a', 30).map((one) => manifest(one, parts([`b${one}`], LAYER), { tag: one })),
          ...names('d', 30).map((one) => manifest(one, [...parts(['f0'], OCI_CONFIG), ...parts([`b${one}`], LAYER)])),
          ...names('c', count).map((one) => index(one, ['e0'], { registry: 'other.example' })),
        ])
        await summarize(stores.database, () => NOW)
        await sql`analyze`.execute(stores.database.sql)
        const rows: number[] = []
        const db = noting(stores.database.sql, rows, { withRemoved: true })
        expect(await readAll(name, { ...parameters, registry: 'registry.example' }, { db })).toHaveLength(30)
        most.push(Math.max(...rows))
      }
      const [few = NaN, many = NaN] = most
      expect(many).toBeLessThan(few * 1.5)
    },
  )

  /** An unused image in a repository with indexes of unknown contents, which so many other indexes list. */
  const withUnknown = async (unknown: number, listing: number, more: Wanted[] = []): Promise<void> => {
    await stores.clear()
    const indexes = names('f', unknown)
    await ingest([
      manifest('a0', parts(['b0'], LAYER), { tag: 'unused' }),
      ...indexes.map((one) => manifest(one, undefined, { mediaType: OCI_INDEX })),
      ...names('c', listing).map((one) => manifest(one, parts(indexes, OCI_INDEX), { mediaType: OCI_INDEX })),
      ...more,
    ])
  }
  const UNUSED: [string, Record<string, string>][] = [
    ['unused-images', { unused_for: '30d' }],
    ['last-used', { unused_for: '30d' }],
  ]
  const tagsOf = async (name: string, parameters: Record<string, string>, db?: Sql): Promise<unknown[]> =>
    (await readAll(name, parameters, { ...(db && { db }) })).map(({ tag }) => tag)

  test.each(UNUSED)('of %s look at some of the indexes of unknown contents at once', async (name, parameters) => {
    const most: number[] = []
    for (const unknown of [30, 90]) {
      await withUnknown(unknown, 60)
      const rows: number[] = []
      expect(await tagsOf(name, parameters, noting(stores.database.sql, rows))).toEqual(['unused'])
      most.push(Math.max(...rows))
    }
    const [few = NaN, many = NaN] = most
    expect(many).toBeLessThan(few * 1.5)
  })

  test.each(UNUSED)(
    'of %s leave out what one of many indexes above may list, and more are not looked at',
    async (...asked) => {
      const used: Wanted = {
        ...index('c59', []),
        references: parts(names('f', 90), OCI_INDEX),
        action: 'pull',
        at: LATELY,
      }
      await withUnknown(90, 60, [used])
      expect(await tagsOf(...asked)).toEqual([])
      await withUnknown(101, 1)
      expect(await tagsOf(...asked)).toEqual([])
    },
  )

  const PAGES: [string, Record<string, string>, (item: Item) => unknown][] = [
    ...ASKED.map(([name, parameters]): (typeof PAGES)[number] => [name, parameters, ({ tag }) => tag]),
    ['manifests', {}, ({ digest }) => digest],
    ['untagged-manifests', {}, ({ digest }) => digest],
    ['untagged-manifests', { unused_for: '30d' }, ({ digest }) => digest],
    ['blobs', {}, ({ digest }) => digest],
    ['orphaned-blobs', {}, ({ digest }) => digest],
    ['missing-blobs', {}, ({ blob_digest, manifest_digest }) => `${String(manifest_digest)} ${String(blob_digest)}`],
  ]

  test('have each row once in pages of any size, however many statements read a page', async () => {
    const images = names('a', 12)
    await ingest([
      ...names('0f', 3).map((name): Wanted => ({ object: 'blob', digest: digestOf(name), size: 10 })),
      ...images.map((one) => manifest(one, parts([`b${one}`], LAYER))),
      // Indexes of one tag each, so that each is computed, between tags of one image.
      ...names('c', 30).map((one, i) => index(one, images, { tag: `tag-${i}` })),
      ...names('tag-b', 15).map((tag) => manifest('ab', undefined, { tag })),
      // Used, which is in no list of what is unused.
      ...names('tag-u', 30).map((tag) => manifest('ac', parts(['bac'], LAYER), { tag })),
      { ...manifest('ac', undefined), action: 'pull', at: LATELY },
      ...names('d', 20).map((one) => manifest(one, parts([`b${one}`], LAYER))),
      { action: 'delete', object: 'blob', digest: digestOf('bac') },
      { action: 'delete', object: 'blob', digest: digestOf('ba1') },
    ])
    await summarize(stores.database, () => NOW)
    for (const [name, parameters, keyOf] of PAGES) {
      const whole = await readAll(name, parameters)
      const keys = whole.map(keyOf)
      expect({ name, parameters, twice: keys.length - new Set(keys).size }).toEqual({ name, parameters, twice: 0 })
      const limit = '12'
      const items = await readAll(name, parameters, { limit })
      expect({ name, parameters, limit, items }).toEqual({ name, parameters, limit, items: whole })
    }
  })
})

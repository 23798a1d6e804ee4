import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { sql } from 'kysely'
import type { Descriptor } from '../../src/events/descriptor.js'
import { ask, type Item } from '../../src/inventory/questions/ask.js'
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
const UNUSED: [string, Record<string, string>][] = [
  ['unused-images', { unused_for: '30d' }],
  ['last-used', { unused_for: '30d' }],
]

describe.each(STORE_PAIRS)('a digest that is pushed again without a change, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())
  afterEach(() => {
    jest.restoreAllMocks()
  })

  const part = (name: string, mediaType: string): Descriptor => ({ digest: digestOf(name), mediaType, size: 20 })
  const image = (name: string): Wanted => ({ digest: digestOf(name), tag: name, references: [part('c', OCI_CONFIG)] })
  /** An index of images, with so many pushes by the same tag, one an hour, until lately. */
  const withIndex = async (images: string[], pushes: number): Promise<void> => {
    await stores.clear()
    const index: Wanted = { digest: digestOf('i'), tag: 'i', mediaType: OCI_INDEX }
    const wanted: Wanted[] = [
      ...images.map(image),
      { ...index, references: images.map((one) => part(one, OCI_IMAGE)) },
      { ...index, at: LATELY },
    ]
    await createCounting(stores, () => NOW).ingest(
      wanted.map((one, i) =>
        anEvent({ id: i + 1, object: 'manifest', mediaType: OCI_IMAGE, size: 20, at: OLD, ...one }),
      ),
    )
    await sql`
      insert into inventory.changes (event_id, repository_id, at, action, digest, tag)
      select gen_random_uuid(), repository_id, at - n * interval '1 hour', action, digest, tag
      from inventory.changes, generate_series(1, ${pushes}::int - 2) as n
      where tag = 'i' and at = ${LATELY}
    `.execute(stores.database.sql)
  }
  const answer = async (name: string, parameters: Record<string, string>, db?: Sql): Promise<readonly Item[]> =>
    (await ask(db ?? stores.database.sql, questionNamed(name), parameters, NOW)).items
  const tags = async (...asked: Parameters<typeof answer>): Promise<unknown[]> =>
    (await answer(...asked)).map(({ tag }) => tag)

  test.each(UNUSED)('is not used by that, nor what it lists, up to 3,000 pushes: %s', async (name, parameters) => {
    await withIndex(['a'], 3_000)
    expect(await tags(name, parameters)).toEqual(expect.arrayContaining(['a', 'i']))
    await withIndex(['a'], 3_001)
    expect(await tags(name, parameters)).toEqual([])
  })

  test('has its pushes read once for all that it lists', async () => {
    // Portions become smaller on a slow machine.
    jest.spyOn(performance, 'now').mockReturnValue(1)
    const PUSHES = 600
    for (const [name, parameters] of UNUSED) {
      const read: number[] = []
      for (const count of [10, 60]) {
        const images = Array.from({ length: count }, (__, i) => `a${i}`)
        await withIndex(images, PUSHES)
        const rows: number[] = []
        expect(await tags(name, parameters, noting(stores.database.sql, rows))).toHaveLength(count + 1)
        read.push(rows.reduce((sum, one) => sum + one, 0))
      }
      const [few = NaN, many = NaN] = read
      expect({ name, isOnce: (many - few) / 50 < PUSHES }).toEqual({ name, isOnce: true })
    }
  })

  test('was pushed at the first of the 3,000 newest changes of its tag, if all are pushes of it', async () => {
    await withIndex(['a'], 3_500)
    const [row] = (await answer('images', {})).filter(({ tag }) => tag === 'i')
    const first = new Date(Date.parse(LATELY) - 2_999 * 3_600_000)
    expect(row?.pushed_at).toBe(first.toISOString().replace('Z', '000Z'))
  })
})

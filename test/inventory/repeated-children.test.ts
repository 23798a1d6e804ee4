import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import type { Descriptor } from '../../src/events/descriptor.js'
import { ask, type Item } from '../../src/inventory/questions/ask.js'
import type { QueryParameters } from '../../src/inventory/questions/question.js'
import { questionNamed } from '../servers/asking.js'
import { createCounting } from '../servers/counting.js'
import { anEvent } from '../servers/events.js'
import { descriptor, digestOf, OCI_IMAGE, OCI_INDEX } from '../servers/manifests.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const NOW = new Date('2026-11-21T12:00:00Z')
const TIMES = 200
const LAYER = 'application/vnd.oci.image.layer.v1.tar'

/** A part of a plan, as PostgreSQL explains it. */
type Plan = { 'Actual Rows': number; 'Actual Loops': number; Plans?: Plan[] }
const mostRows = ({ 'Actual Rows': rows, 'Actual Loops': loops, Plans = [] }: Plan): number =>
  Math.max(rows * loops, ...Plans.map(mostRows))

describe.each(STORE_PAIRS)('an index that lists one image many times, on %s', (_, open) => {
  let stores: TestStores
  let ids = 0
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const pushed = async (name: string, references: Descriptor[], more: Parameters<typeof anEvent>[0] = {}) =>
    createCounting(stores).ingest([
      anEvent({
        id: ++ids,
        object: 'manifest',
        digest: digestOf(name),
        mediaType: OCI_IMAGE,
        size: 20,
        references,
        ...more,
      }),
    ])
  const described = (name: string, mediaType: string, size: number): Descriptor =>
    descriptor(name, mediaType, { size }) as Descriptor
  const layers = (image: string, count: number): Descriptor[] =>
    Array.from({ length: count }, (_, i) => described(`${image} ${i}`, LAYER, 10))
  const index = { mediaType: OCI_INDEX, tag: 'all' }
  const times = (count: number, name: string, mediaType = OCI_IMAGE): Descriptor[] =>
    Array.from({ length: count }, () => described(name, mediaType, 20))
  const statementOf = async (name: string, asked: QueryParameters = {}) => {
    const { rows } = await sql<{ id: number }>`select id from inventory.repositories`.execute(stores.database.sql)
    return questionNamed(name).statement(
      { ...asked, repository_ids: String(rows[0]?.id) },
      { now: NOW, after: undefined, limit: 20_000 },
    )
  }
  const lookedAt = async (name: string, asked?: QueryParameters): Promise<number> => {
    const explained = sql<{
      'QUERY PLAN': [{ Plan: Plan }]
    }>`explain (analyze, format json) ${await statementOf(name, asked)}`
    const { rows } = await explained.execute(stores.database.sql)
    return rows[0] ? mostRows(rows[0]['QUERY PLAN'][0].Plan) : NaN
  }
  const tree = async (limit: string): Promise<Item[]> => {
    const items: Item[] = []
    let cursor: string | null = null
    do {
      const parameters = { repository: 'team/app', reference: 'all', limit, ...(cursor !== null && { cursor }) }
      const page = await ask(stores.database.sql, questionNamed('tree'), parameters, NOW)
      items.push(...page.items)
      cursor = page.next
    } while (cursor !== null)
    return items
  }

  test('has its size once, and the layers are not read again each time', async () => {
    await pushed('image', layers('image', TIMES))
    await pushed('index', times(TIMES, 'image'), index)
    const { items } = await ask(stores.database.sql, questionNamed('images'), {}, NOW)
    expect(items).toMatchObject([{ tag: 'all', size: 20 + 20 + TIMES * 10 }])
    expect(await lookedAt('images')).toBeLessThan(TIMES * 10)
  })

  test('has a tree with the image each time, and what it consists of the first time', async () => {
    await pushed('image', layers('image', TIMES))
    await pushed('index', times(TIMES, 'image'), index)
    const parts = (await tree('1000')).map(({ part }) => part)
    expect(parts).toEqual([
      'index',
      'manifest',
      ...Array<string>(TIMES).fill('layer'),
      ...Array<string>(TIMES - 1).fill('manifest'),
    ])
    expect(await lookedAt('tree', { reference: 'all' })).toBeLessThan(TIMES * 10)
  })

  test('has the same tree in pages of any size', async () => {
    await pushed('image', layers('image', 3))
    await pushed('other', layers('other', 2))
    await pushed('inner', [...times(2, 'other'), ...times(1, 'image')], { mediaType: OCI_INDEX })
    await pushed('index', [...times(2, 'image'), ...times(3, 'inner', OCI_INDEX), ...times(1, 'other')], index)
    const whole = await tree('1000')
    expect(whole.map(({ level, part }) => `${level} ${part}`)).toEqual([
      '0 index',
      ...['1 manifest', '2 layer', '2 layer', '2 layer', '1 manifest'],
      // On another level the image is opened again.
      ...['1 index', '2 manifest', '3 layer', '3 layer', '2 manifest', '2 manifest', '3 layer', '3 layer', '3 layer'],
      ...['1 index', '1 index', '1 manifest', '2 layer', '2 layer'],
    ])
    for (const limit of ['1', '3', '7']) expect(await tree(limit)).toEqual(whole)
  })

  test('has a tree at each registry', async () => {
    await pushed('image', layers('image', 1))
    await pushed('image', layers('image', 1), { registry: 'mirror.example' })
    await pushed('index', times(2, 'image'), index)
    await pushed('index', times(2, 'image'), { ...index, registry: 'mirror.example' })
    const parts = (await tree('1000')).map(({ part }) => part)
    expect(parts).toEqual(Array(2).fill(['index', 'manifest', 'layer', 'manifest']).flat())
  })

  test('has a tree with the first 10,000 manifests of a level', async () => {
    await pushed('index', times(1, 'image'), index)
    await sql`
      insert into inventory.manifest_children (manifest_digest, position, digest, media_type)
      select ${digestOf('index')}, i, 'sha256:' || lpad(i::text, 64, '0'), ${OCI_IMAGE} from generate_series(1, 10500) i
    `.execute(stores.database.sql)
    const { rows } = await (await statementOf('tree', { reference: 'all' })).execute(stores.database.sql)
    expect(rows).toHaveLength(1 + 10_000)
    expect(rows.at(-1)).toMatchObject({ digest: `sha256:${'9999'.padStart(64, '0')}` })
  })
})

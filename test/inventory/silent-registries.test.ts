import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { blob, createAsking, type Asking, type Wanted } from '../servers/asking.js'
import { digestOf } from '../servers/history.js'
import { OCI_CONFIG, OCI_IMAGE } from '../servers/manifests.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const daysAgo = (days: number): Date => new Date(NOW.getTime() - days * 86_400_000)
const OLD = '2026-01-10T10:00:00Z'

/** An unused tag, a manifest without a tag, and a blob without a manifest. */
const pushes = (registry: string): Wanted[] => {
  const part = (name: string, mediaType: string) => ({ digest: digestOf(name), mediaType, size: 10 })
  const references = [part('c', OCI_CONFIG), part('l', 'application/vnd.oci.image.layer.v1.tar+gzip')]
  const image: Wanted = { object: 'manifest', mediaType: OCI_IMAGE, size: 500, references, at: OLD, registry }
  return [
    { ...image, digest: digestOf(`${registry} 1`), tag: 'v1' },
    { ...image, digest: digestOf(`${registry} 2`) },
    blob(`${registry} 3`, { at: OLD, registry }),
  ]
}

describe.each(STORE_PAIRS)('of a registry of which nothing was heard lately, on %s', (_, open) => {
  let stores: TestStores
  let asking: Asking
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => {
    await stores.clear()
    asking = createAsking(stores, NOW)
    await asking.ingest(...pushes('a.example'), ...pushes('b.example'))
    await asking.summary()
  })
  const heard = async (registry: string, at: Date | undefined): Promise<void> => {
    const { sql: db } = stores.database
    if (at)
      await sql`update receptions set last_received_at = ${at}, last_event_at = ${at} where registry = ${registry}`.execute(
        db,
      )
    else await sql`delete from receptions where registry = ${registry}`.execute(db)
  }
  const QUESTIONS = [
    ['unused-images', { unused_for: '90d' }],
    ['last-used', { unused_for: '90d' }],
    ['untagged-manifests', {}],
    ['orphaned-blobs', {}],
  ] as const

  test.each(QUESTIONS)('%s offers nothing, and says so', async (question, parameters) => {
    const registriesOf = async (more: object = {}): Promise<[unknown[], string]> => {
      const { items, notes = [] } = await asking.answer(question, { ...parameters, ...more })
      return [items.map(({ registry }) => registry).sort(), notes.join('; ')]
    }
    expect(await registriesOf()).toEqual([['a.example', 'b.example'], expect.not.stringContaining('nothing was heard')])
    await heard('a.example', daysAgo(6))
    expect(await registriesOf()).toEqual([
      ['a.example', 'b.example'],
      expect.stringContaining('nothing was heard of a.example since 2026-11-21T12:00:00.000000Z: if its notifications'),
    ])
    await heard('a.example', daysAgo(8))
    const silent = expect.stringContaining(
      'nothing was heard of a.example since 2026-11-19T12:00:00.000000Z: what was used since then is unknown',
    )
    expect(await registriesOf()).toEqual([['b.example'], silent])
    expect(await registriesOf({ registry: 'a.example' })).toEqual([[], silent])
    expect(await registriesOf({ registry: 'a.example', repository: 'team/app' })).toEqual([[], silent])
    expect(await registriesOf({ registry: 'b.example' })).toEqual([
      ['b.example'],
      expect.not.stringContaining('nothing was heard'),
    ])
    await heard('b.example', undefined)
    expect(await registriesOf()).toEqual([
      [],
      expect.stringContaining('no event of b.example was ever received: what is in use is unknown'),
    ])
  })

  test('nothing is offered as unused for a shorter time than that', async () => {
    await heard('a.example', daysAgo(3))
    const { items } = await asking.answer('unused-images', { unused_for: '2d' })
    expect(items.map(({ registry }) => registry)).toEqual(['b.example'])
  })

  test('nothing is offered of one that was heard with a clock that was ahead, until it is heard again', async () => {
    await heard('a.example', daysAgo(-60))
    const offered = async (): Promise<unknown[]> =>
      (await asking.items('unused-images', { unused_for: '90d' })).map(({ registry }) => registry).sort()
    expect(await offered()).toEqual(['b.example'])
    await asking.ingest(blob('heard', { registry: 'a.example' }))
    expect(await offered()).toEqual(['a.example', 'b.example'])
  })

  const gap = async (from: Date, to: Date): Promise<void> => {
    await sql`update receptions set silent_from = ${from}, silent_to = ${to} where registry = 'a.example'`.execute(
      stores.database.sql,
    )
  }
  const offered = async (question: string, parameters: object = {}): Promise<unknown[]> =>
    (await asking.items(question, parameters)).map(({ registry }) => registry).sort()
  const BOTH = ['a.example', 'b.example']

  test('after a gap, nothing is offered as unused until the registry was heard for as long', async () => {
    await gap(daysAgo(25), daysAgo(10))
    const { notes = [] } = await asking.answer('unused-images', { unused_for: '30d' })
    expect(notes.join()).toContain(
      'nothing was heard of a.example from 2026-11-02T12:00:00.000000Z to 2026-11-17T12:00',
    )
    for (const question of ['unused-images', 'last-used']) {
      await gap(daysAgo(25), daysAgo(10))
      expect(await offered(question, { unused_for: '30d' })).toEqual(['b.example'])
      // The gap is before the time that was asked for.
      expect(await offered(question, { unused_for: '9d' })).toEqual(BOTH)
      await gap(daysAgo(25), daysAgo(13))
      expect(await offered(question, { unused_for: '30d' })).toEqual(BOTH)
    }
  })

  test('after a gap, nothing is offered as unreferenced until what the registry contains was stored', async () => {
    await gap(daysAgo(60), daysAgo(40))
    for (const question of ['untagged-manifests', 'orphaned-blobs'])
      expect(await offered(question)).toEqual(['b.example'])
    const reconciled = async (applied: boolean, days: number): Promise<void> => {
      const at = daysAgo(days)
      await sql`
        insert into inventory.reconciliations (registry, applied, started_at, updated_at, finished_at)
        values ('a.example', ${applied}, ${at}, ${at}, ${at})
      `.execute(stores.database.sql)
    }
    await reconciled(false, 5)
    await reconciled(true, 41)
    for (const question of ['untagged-manifests', 'orphaned-blobs'])
      expect(await offered(question)).toEqual(['b.example'])
    await reconciled(true, 39)
    for (const question of ['untagged-manifests', 'orphaned-blobs']) expect(await offered(question)).toEqual(BOTH)
  })

  test('what does not offer anything is answered', async () => {
    await heard('a.example', undefined)
    await heard('b.example', undefined)
    for (const question of ['images', 'last-used', 'blobs', 'manifests'])
      expect((await asking.items(question)).length).toBeGreaterThan(1)
  })
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql, type RawBuilder } from 'kysely'
import { checksBeforePush, dueChecks, newestPendingCheck } from '../../../src/inventory/record/check-before-push.js'
import { joinLookups } from '../../../src/inventory/record/join-lookups.js'
import { settleChecks } from '../../../src/inventory/record/settle-checks.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { digestOf } from '../../servers/history.js'
import { OCI_IMAGE, OCI_INDEX } from '../../servers/manifests.js'
import { noting } from '../../servers/explained-rows.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

type Wanted = NonNullable<Parameters<typeof anEvent>[0]>

const NOW = new Date('2026-11-21T12:00:00Z')
const LATER = new Date('2026-11-21T13:00:00Z')
const at = (second: number): string => new Date(Date.UTC(2026, 10, 21, 11, 50, 0, second * 1_000)).toISOString()
const CI = { address: '192.0.2.1', userAgent: 'buildkit/v0.12' }
const IMAGE = digestOf('image')
/** More than are read to look up one HEAD, and four times as many. */
const [MANY, VERY_MANY] = [400, 1_600]

const head = (second: number, more: Wanted = {}): Wanted => ({
  ...{ ...CI, action: 'pull', method: 'HEAD', digest: IMAGE, at: at(second), ...more },
})
const push = (second: number, digest: string, more: Wanted = {}): Wanted => ({
  ...{ ...CI, digest: digestOf(digest), at: at(second), ...more },
})
const index = (second: number, name: string, more: Wanted = {}): Wanted =>
  push(second, name, {
    mediaType: OCI_INDEX,
    references: [{ digest: IMAGE, mediaType: OCI_IMAGE, size: 20 }],
    ...more,
  })
const each = (count: number, one: (i: number) => Wanted): Wanted[] => Array.from({ length: count }, (_, i) => one(i))

/** What another registry says: so many indexes list the image. */
const othersList = (count: number): Wanted[] =>
  each(count, (i) => index(0, `other-${i}`, { registry: 'other.example', action: 'pull', method: 'GET' }))
/** Pushes by another client that have nothing to do with the image. */
const otherPushes = (count: number): Wanted[] =>
  each(count, (i) => push(1, `p${i}`, { tag: `p${i}`, address: '192.0.2.2' }))

describe.each(STORE_PAIRS)('a HEAD before a push, on %s', (_, open) => {
  let stores: TestStores
  let id = 0
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const happened = async (...wanted: Wanted[]): Promise<void> => {
    await createCounting(stores, () => NOW).ingest(
      wanted.map((one) => anEvent({ id: ++id, object: 'manifest', mediaType: OCI_IMAGE, size: 20, ...one })),
    )
  }
  /** How many of the HEADs are part of a push; all are settled, which says the same. */
  const partsOfPush = async (): Promise<number> => {
    const { rows } = await sql<{ id: string; at: string }>`
      select event_id as id from inventory.tag_lookups where method = 'HEAD'
    `.execute(stores.database.sql)
    const { rows: parts } = await checksBeforePush(rows.map((row) => row.id)).execute(stores.database.sql)
    await settleChecks(stores.database, LATER)
    const { rows: settled } = await sql`
      select from inventory.tag_lookups where not settled
      union all select from inventory.repository_manifests where checked_at is not null and ${parts.length === rows.length}
    `.execute(stores.database.sql)
    expect(settled).toEqual([])
    return parts.length
  }

  test('is part of the push of an index, whatever other registries list', async () => {
    await happened(
      head(0),
      ...othersList(MANY),
      index(2, 'own'),
      head(10, { digest: digestOf('own'), mediaType: OCI_INDEX }),
    )
    // The HEAD of the index came after its push.
    expect(await partsOfPush()).toBe(1)
    const { rows } = await sql`
      select digest from inventory.repository_manifests where checked_at is not null
    `.execute(stores.database.sql)
    expect(rows).toEqual([{ digest: digestOf('own') }])
  })

  test.each([
    ['the manifest', push(2, 'image')],
    ['a tag of the manifest', push(2, 'image', { tag: 'v1' })],
    ['an index', index(2, 'own')],
    ['a tag of an index', index(2, 'own', { tag: 'v1' })],
  ])('is part of the push of %s in a repository with few pushes and with many', async (_what, pushed) => {
    for (const others of [5, MANY]) {
      await stores.clear()
      await happened(head(0), ...otherPushes(others), ...othersList(5), pushed)
      expect(await partsOfPush()).toBe(1)
      await stores.clear()
      await happened(head(0), ...otherPushes(others), ...othersList(5), { ...pushed, address: '192.0.2.3' })
      expect(await partsOfPush()).toBe(0)
    }
  })

  test('stays a check if only another registry states that the index which was pushed lists its manifest', async () => {
    for (const others of [5, MANY]) {
      await stores.clear()
      const elsewhere = { registry: 'other.example', action: 'pull', method: 'GET' } as const
      await happened(index(0, 'own', elsewhere), head(0), ...otherPushes(others))
      await happened(push(2, 'own', { mediaType: OCI_INDEX }))
      expect(await partsOfPush()).toBe(0)
    }
  })

  test('counts as a check in answers until it is settled, unless it asked for a tag that was pushed', async () => {
    const pending = async (which: RawBuilder<unknown>): Promise<boolean> => {
      const { rows } = await sql<{ at: string | null }>`
        select ${newestPendingCheck(which)} as at
      `.execute(stores.database.sql)
      return rows[0]?.at !== null
    }
    await happened(head(0), head(1, { tag: 'v1', digest: digestOf('b') }), push(2, 'image', { tag: 'v1' }))
    expect([await pending(sql`l.digest = ${IMAGE}`), await pending(sql`l.tag = 'v1'`)]).toEqual([true, false])
    await settleChecks(stores.database, LATER)
    expect(await pending(sql`true`)).toBe(false)
    const { rows } = await sql`
      select from inventory.repository_manifests where checked_at is not null
    `.execute(stores.database.sql)
    expect(rows).toEqual([])
  })

  test('stays a check if the repository has many pushes and many indexes list the manifest', async () => {
    await happened(head(0), ...otherPushes(MANY), ...othersList(MANY), index(2, 'own'))
    expect(await partsOfPush()).toBe(0)
    await happened(push(3, 'image'))
    await sql`update inventory.tag_lookups set settled = method <> 'HEAD'`.execute(stores.database.sql)
    expect((await dueChecks(sql`true`, 100).execute(stores.database.sql)).rows).toMatchObject([
      { is_part_of_push: true },
    ])
  })

  test('is settled, whatever the number of HEADs', async () => {
    await happened(push(0, 'image', { tag: 'v1' }), ...each(250, (i) => head(i % 3, { address: `192.0.2.${i}` })))
    expect(await partsOfPush()).toBe(0)
  })

  /** Rows that the largest statement reads. */
  const rowsRead = async (ask: (db: ReturnType<typeof noting>) => Promise<unknown>): Promise<number> => {
    await sql`analyze`.execute(stores.database.sql)
    const rows: number[] = []
    await ask(noting(stores.database.sql, rows, { withRemoved: true }))
    return Math.max(...rows)
  }
  const heads = (count: number, more: (i: number) => Wanted = () => ({})): Wanted[] =>
    each(count, (i) => head(0, { address: `192.0.2.${i % 250}`, ...more(i) }))
  const newest = (which: RawBuilder<unknown>): RawBuilder<unknown> => sql`select ${newestPendingCheck(which)}`
  const due = dueChecks(sql`true`, 20)

  test.each<[string, RawBuilder<unknown>, (count: number) => Wanted[]]>([
    ['indexes list its manifest', due, (count) => [...heads(20), ...othersList(count)]],
    [
      'indexes of a repository with many pushes list its manifest',
      due,
      (count) => [...heads(20), ...otherPushes(MANY), ...each(count, (i) => index(1, `i${i}`, { tag: `i${i}` }))],
    ],
    [
      'clients pushed its tag',
      due,
      (count) => [
        ...heads(20, () => ({ tag: 'v1' })),
        ...each(count, (i) => push(1, `p${i}`, { tag: 'v1', address: '192.0.2.254' })),
      ],
    ],
    [
      'tags have its manifest',
      due,
      (count) => [...heads(20), ...each(count, (i) => push(1, 'image', { tag: `t${i}`, address: '192.0.2.254' }))],
    ],
    [
      'pending HEADs of a tag are parts of a push',
      newest(sql`l.repository_id = (select id from inventory.repositories) and l.tag = 'v1'`),
      (count) => [...each(count, () => head(0, { tag: 'v1' })), push(1, 'image', { tag: 'v1' })],
    ],
    [
      'pending HEADs of one client are parts of its push',
      newest(sql`l.repository_id = (select id from inventory.repositories) and l.digest = ${IMAGE}`),
      (count) => [...each(count, () => head(0)), push(1, 'image')],
    ],
  ])('reads a bounded number of rows if many %s', async (_what, statement, events) => {
    const read: number[] = []
    for (const count of [MANY, VERY_MANY]) {
      await stores.clear()
      await happened(...events(count))
      read.push(await rowsRead(async (db) => statement.execute(db)))
    }
    const [few = NaN, many = NaN] = read
    expect(many).toBeLessThan(few * 1.3)
  })

  test('reads a bounded number of tags for each GET of what one client asked for by tags', async () => {
    const read: number[] = []
    for (const count of [MANY, VERY_MANY]) {
      await stores.clear()
      await happened(...each(count, (i) => head(0, { tag: `t${i}` })))
      await joinLookups(stores.database)
      await happened(...each(20, () => head(1, { method: 'GET' })))
      read.push(await rowsRead(async (db) => joinLookups({ sql: db })))
    }
    const [few = NaN, many = NaN] = read
    // PostgreSQL may read each of two small tables as a whole, once; twenty GETs would read the tags twenty times.
    expect(many).toBeLessThan(few + 2.5 * (VERY_MANY - MANY))
  })
})

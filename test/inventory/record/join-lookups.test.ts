import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import { expireLookups, joinLookups } from '../../../src/inventory/record/join-lookups.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent, DIGEST } from '../../servers/events.js'
import { noting } from '../../servers/explained-rows.js'
import { runs } from '../../servers/runs.js'
import { seeing, StatementEnded } from '../../servers/seen-statements.js'
import { createStepSizes } from '../../../src/storage/sql/step-sizes.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const CONTAINERD = { address: '192.0.2.7', userAgent: 'containerd/1.7', object: 'manifest', digest: DIGEST } as const
const at = (second: number): string => new Date(Date.UTC(2026, 10, 18, 10, 0, second)).toISOString()

const PUSH = { id: 1, action: 'push', object: 'manifest', digest: DIGEST, tag: 'latest', at: at(0) } as const
const head = (second: number) =>
  ({ ...CONTAINERD, id: 100 + second, action: 'pull', method: 'HEAD', tag: 'latest', at: at(second) }) as const
const get = (second: number, more = {}) =>
  ({ ...CONTAINERD, id: 500 + second, action: 'pull', method: 'GET', at: at(second), ...more }) as const

describe.each(STORE_PAIRS)('a HEAD of a tag and a GET of its digest, in %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  const pulledAt = async (...wanted: NonNullable<Parameters<typeof anEvent>[0]>[]): Promise<string | undefined> => {
    await stores.clear()
    const { ingest } = createCounting(stores)
    for (const one of wanted) {
      await ingest([anEvent(one)])
      await joinLookups(stores.database)
    }
    const { rows } = await sql<{ pulled_at: Date | null }>`select pulled_at from inventory.tags`.execute(
      stores.database.sql,
    )
    return rows[0]?.pulled_at?.toISOString()
  }

  test('are a pull of the tag at the time of the GET', async () => {
    expect(await pulledAt(PUSH, head(10), get(12))).toBe(at(12))
  })

  test('are none of it after more than a minute, of another client, of another manifest, or alone', async () => {
    expect(await pulledAt(PUSH, head(10), get(71))).toBeUndefined()
    expect(await pulledAt(PUSH, head(10), get(12, { address: '192.0.2.8' }))).toBeUndefined()
    expect(await pulledAt(PUSH, head(10), get(12, { userAgent: 'docker/27' }))).toBeUndefined()
    expect(await pulledAt(PUSH, head(10), get(12, { digest: DIGEST.replace('7', '8') }))).toBeUndefined()
    expect(await pulledAt(PUSH, head(10))).toBeUndefined()
    expect(await pulledAt(PUSH, get(12))).toBeUndefined()
    expect(await pulledAt(PUSH, get(9), head(10))).toBeUndefined()
  })

  test('are found in whatever order they come', async () => {
    const events = [PUSH, head(10), get(12), get(40), head(100), get(90, { address: '192.0.2.8' }), get(130)]
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(events, { minLength: events.length }), async (shuffled) => {
        expect(await pulledAt(...shuffled)).toBe(at(130))
      }),
      runs(8),
    )
  })

  test('are found by one statement as by many: the last GET that follows a HEAD of the tag within a minute', async () => {
    const seconds = fc.uniqueArray(fc.nat(400), { maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(seconds, seconds, seconds, async (gets, latest, other) => {
        await stores.clear()
        const heads = { latest, other }
        const events = [
          ...Object.keys(heads).map((tag) => ({ ...PUSH, tag })),
          ...Object.entries(heads).flatMap(([tag, all]) => all.map((second) => ({ ...head(second), tag }))),
          ...gets.map((second) => get(second)),
        ]
        await createCounting(stores).ingest(events.map((one, i) => anEvent({ ...one, id: i + 1 })))
        await joinLookups(stores.database)
        const { rows } = await sql<{ name: 'latest' | 'other'; pulled_at: Date | null }>`
          select name, pulled_at from inventory.tags
        `.execute(stores.database.sql)
        for (const { name, pulled_at } of rows) {
          const pulls = gets.filter((got) => heads[name].some((second) => got - 60 <= second && second <= got))
          expect(pulled_at?.toISOString()).toBe(pulls.length === 0 ? undefined : at(Math.max(...pulls)))
        }
      }),
      runs(20),
    )
  })

  test('are looked for in 100 tags of the client once for all its GETs of the manifest', async () => {
    const read: number[] = []
    for (const gets of [10, 90]) {
      await stores.clear()
      const { ingest } = createCounting(stores)
      const tags = Array.from({ length: 100 }, (__, i) => ({ ...head(0), tag: `t${i}` }))
      await ingest(tags.map((one, i) => anEvent({ ...one, id: i + 1 })))
      await joinLookups(stores.database)
      await ingest(Array.from({ length: gets }, (__, i) => anEvent(get(600 + i))))
      const rows: number[] = []
      await joinLookups({ sql: noting(stores.database.sql, rows) })
      read.push(rows.reduce((sum, one) => sum + one, 0))
    }
    const [few = NaN, many = NaN] = read
    expect((many - few) / 80).toBeLessThan(100)
  })

  test('are found in smaller steps if large ones are cancelled, also by the next run', async () => {
    await stores.clear()
    const sizes = createStepSizes()
    const attempts: number[] = []
    const failing = seeing(stores.database.sql, async (execute, _text, parameters) => {
      const size = Number(parameters.find((one) => typeof one === 'number'))
      attempts.push(size)
      if (size > 20) throw new StatementEnded()
      return execute()
    })
    for (const run of [0, 1]) {
      const events = Array.from({ length: 60 }, (__, i) => anEvent({ ...head(i), id: 100 * run + i + 1 }))
      await createCounting(stores).ingest([anEvent({ ...PUSH, id: 1_000 + run }), ...events])
      await createCounting(stores).ingest([anEvent({ ...get(90 + run), id: 2_000 + run })])
      await joinLookups({ sql: failing }, sizes)
    }
    const { rows } = await sql`
      select pulled_at, (select count(*)::int from inventory.tag_lookups where not joined) as fresh from inventory.tags
    `.execute(stores.database.sql)
    expect(rows).toEqual([{ pulled_at: new Date(at(91)), fresh: 0 }])
    // Each run has 61 requests. The second one grows once, after eight steps in all.
    expect(attempts).toEqual([100, ...Array<number>(8).fill(12), 100, ...Array<number>(4).fill(12)])
  })

  test('leave no address behind', async () => {
    await pulledAt(PUSH, head(10), get(12))
    const { rows } = await sql`select * from inventory.tag_lookups`.execute(stores.database.sql)
    expect(rows).toHaveLength(2)
    expect(JSON.stringify(rows)).not.toMatch(/192\.0|containerd/)
  })
  test('are found among 200,000 others of everybody behind one proxy', async () => {
    await stores.clear()
    const { ingest } = createCounting(stores)
    await ingest([anEvent(PUSH), anEvent(head(10)), anEvent(get(12))])
    const { sql: db } = stores.database
    // HEADs alone fill the minute before the GET, and the rest of the day is as busy.
    await sql`
      insert into inventory.tag_lookups (event_id, repository_id, method, digest, tag, origin, settled, at, joined)
      select gen_random_uuid(), l.repository_id, case when n % 10 > 0 then 'HEAD' else 'GET' end, l.digest,
        case when n % 10 > 0 then 'latest' end, l.origin, true,
        ${at(10)}::timestamptz - n * interval '1 ms' - case when n % 10 = 0 then interval '1 hour' else '0' end, n > 400
      from inventory.tag_lookups l, generate_series(1, 200000) as n where l.tag is not null
    `.execute(db)
    await joinLookups(stores.database)
    const { rows } = await sql<{ pulled_at: Date }>`
      select pulled_at, (select count(*)::int from inventory.tag_lookups where not joined) as fresh from inventory.tags
    `.execute(db)
    expect(rows).toEqual([{ pulled_at: new Date(at(12)), fresh: 0 }])
  })

  test('are forgotten after a day', async () => {
    await stores.clear()
    const now = new Date('2026-11-20T12:00:00Z')
    for (const [second, hours] of [25, 23].entries()) {
      const at = new Date(now.getTime() - hours * 3_600_000)
      await createCounting(stores, () => at).ingest([
        anEvent({ ...CONTAINERD, ...PUSH }),
        anEvent({ ...get(second), at: at.toISOString() }),
      ])
    }
    const left = async (): Promise<number[]> => {
      await expireLookups(stores.database, now)
      const tables = ['tag_lookups', 'recent_pushes']
      return Promise.all(
        tables.map(
          async (table) =>
            (await sql`select from inventory.${sql.raw(table)}`.execute(stores.database.sql)).rows.length,
        ),
      )
    }
    expect(await left()).toEqual([2, 1])
    await joinLookups(stores.database)
    expect(await left()).toEqual([1, 1])
  })
})

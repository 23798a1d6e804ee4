import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { deleteExpiredRows } from '../../src/service/expire-rows.js'
import { hasCause } from '../../src/storage/unavailable.js'
import { isCancelled } from '../../src/storage/sql/database.js'
import { NOW } from '../servers/clock.js'
import { seeing, StatementEnded } from '../servers/seen-statements.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const daysAgo = (days: number): string => new Date(NOW.getTime() - days * 86_400_000).toISOString()
const RETENTION = {
  eventIdDays: 14,
  rejectedEventDays: 30,
  rejectedEvents: 100,
  unresolvedUserDays: 42,
}

describe.each(STORE_PAIRS)('names that wait for the user directory, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const keep = async (repository: string, days: number, first: string[], known: string[]): Promise<void> => {
    const contributions = (members: string[]): string =>
      JSON.stringify(members.map((member) => ({ event: 'e', member })))
    await sql`
      insert into repositories values ('r', ${repository}, ${daysAgo(days)}::timestamptz, gen_random_uuid(),
        ${contributions(first)}::jsonb, ${contributions(known)}::jsonb)
    `.execute(stores.database.sql)
  }
  const members = async (): Promise<unknown> => {
    const { rows } = await sql<{ name: string; first: string; known: string }>`
      select name, jsonb_path_query_array(if_first, '$[*].member') as first,
        jsonb_path_query_array(if_known, '$[*].member') as known
      from repositories order by name
    `.execute(stores.database.sql)
    return Object.fromEntries(rows.map(({ name, first, known }) => [name, [first, known]]))
  }

  test('are forgotten after their time wherever they stand; ids are not', async () => {
    await keep('old', 44, ['?alice', '17'], ['?alice'])
    await keep('old/known', 44, ['18'], ['19', '?bob'])
    await keep('old/resolved', 400, ['20'], ['21'])
    await keep('young', 40, ['?carol'], ['?carol'])
    await sql`insert into unresolved_users values
      ('alice', '', ${daysAgo(44)}::date), ('carol', '', ${daysAgo(40)}::date)`.execute(stores.database.sql)

    expect(await deleteExpiredRows(stores.database, RETENTION, NOW)).toBe(3)
    expect(await members()).toEqual({
      old: [['17'], []],
      'old/known': [['18'], ['19']],
      'old/resolved': [['20'], ['21']],
      young: [['?carol'], ['?carol']],
    })
    const { rows } = await sql`select name from unresolved_users`.execute(stores.database.sql)
    expect(rows).toEqual([{ name: 'carol' }])
    expect(await deleteExpiredRows(stores.database, RETENTION, NOW)).toBe(0)
  })
})

describe.each(STORE_PAIRS)('tables without a bound, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  /** In each table old rows, and five that stay; five old rejected events are too many, but not too old. */
  const fill = async (old: number): Promise<void> => {
    const series = sql`generate_series(1, ${old + 5}::int) as n`
    const isOld = sql`n <= ${old}::int`
    const { sql: db } = stores.database
    await sql`
      insert into rejected_events select gen_random_uuid(),
        now() - case when ${isOld} then interval '31 days' else interval '1 minute' * n end, 'malformed', '', '{}' from ${series}
    `.execute(db)
    await sql`
      insert into unresolved_users
      select 'u' || n, '', case when ${isOld} then ${daysAgo(50)}::date else ${daysAgo(40)}::date end from ${series}
    `.execute(db)
    await sql`
      insert into sketches
      select 's' || n, '', now() + case when ${isOld} then interval '-1 day' else interval '1 day' end from ${series}
    `.execute(db)
    await sql`
      insert into leases
      select 'l' || n, 'h', now() - case when ${isOld} then interval '2 days' else interval '1 hour' end from ${series}
    `.execute(db)
  }
  const rowsOf = async (table: string): Promise<number> =>
    (await sql`select from ${sql.table(table)}`.execute(stores.database.sql)).rows.length

  test('lose what is old in portions, and the newest rejected events stay', async () => {
    await fill(10_500)
    const deleted: number[] = []
    const { database } = stores
    const noted = {
      ...database,
      sql: seeing(database.sql, async (execute) => {
        const result = await execute()
        deleted.push(Number(result.numAffectedRows ?? 0))
        return result
      }),
    }
    expect(await deleteExpiredRows(noted, { ...RETENTION, rejectedEvents: 3 }, NOW)).toBe(4 * 10_500 + 2)
    expect(Math.max(...deleted)).toBe(10_000)
    const kept = await Promise.all(['rejected_events', 'unresolved_users', 'sketches', 'leases'].map(rowsOf))
    expect(kept).toEqual([3, 5, 5, 5])
  })

  test('lose what is old although the statement of another table fails', async () => {
    await fill(10)
    const { database } = stores
    const failing = {
      ...database,
      sql: seeing(database.sql, async (execute, text) => {
        if (text.includes('delete from "unresolved_users"')) throw new StatementEnded()
        return execute()
      }),
    }
    const failure: unknown = await deleteExpiredRows(failing, RETENTION, NOW).catch((error: unknown) => error)
    expect(hasCause(failure, isCancelled)).toBe(true)
    const kept = await Promise.all(['rejected_events', 'unresolved_users', 'sketches', 'leases'].map(rowsOf))
    expect(kept).toEqual([5, 15, 5, 5])
  })

  test('end the run at once if the database is unavailable', async () => {
    let statements = 0
    const { database } = stores
    const unavailable = {
      ...database,
      sql: seeing(database.sql, async () => {
        statements++
        return Promise.reject(Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }))
      }),
    }
    await expect(deleteExpiredRows(unavailable, RETENTION, NOW)).rejects.toThrow('connect')
    expect(statements).toBe(1)
  })
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { CompiledQuery, sql, type QueryResult } from 'kysely'
import { createRepositories } from '../../src/counters/repositories.js'
import { resolveUsers } from '../../src/counters/resolve-users.js'
import { REPOSITORIES_PER_TRANSACTION } from '../../src/counters/unresolved-in-repositories.js'
import { countUnresolved } from '../../src/counters/unresolved-users.js'
import { deleteExpiredRows } from '../../src/service/expire-rows.js'
import type { Database } from '../../src/storage/sql/database.js'
import { countOf, LIFETIMES, RULES } from '../servers/counting.js'
import { seeing, seenBy } from '../servers/seen-statements.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const now = (): Date => new Date('2026-11-19T00:00:00Z')
const CREATED = 'i_container_registry_create_repository_user'
const PUSHED = 'i_container_registry_push_repository_user'
const TAGGED = 'i_container_registry_push_tag_user'
const RETENTION = { eventIdDays: 14, rejectedEventDays: 30, rejectedEvents: 100, unresolvedUserDays: 42 }

describe.each(STORE_PAIRS)('names in the first events of repositories, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const createRows = async (prefix: string, count: number, member: string, at = '2026-11-18'): Promise<void> => {
    await sql`
      insert into repositories (registry, name, first_at, first_event, if_first, if_known)
      select 'r', ${prefix} || n, ${at}::timestamptz, gen_random_uuid(),
        jsonb_build_array(jsonb_build_object('event', ${CREATED}::text, 'member', ${member}::text)),
        jsonb_build_array(jsonb_build_object('event', ${PUSHED}::text, 'member', ${member}::text))
      from generate_series(1, ${count}::int) n
    `.execute(stores.database.sql)
  }
  const queue = async (names: string[], event = ''): Promise<void> => {
    await sql`
      insert into unresolved_users (name, event, day) select name, ${event}, '2026-11-18' from unnest(${names}::text[]) name
    `.execute(stores.database.sql)
  }
  /** The numbers of repositories by the members of their first events. */
  const repositoriesOf = async (): Promise<Record<string, number>> => {
    const { rows } = await sql<{ members: string; count: number }>`
      select jsonb_path_query_array(if_first || if_known, '$[*].member')::text as members, count(*)::int as count
      from repositories group by 1
    `.execute(stores.database.sql)
    return Object.fromEntries(rows.map(({ members, count }) => [members, count]))
  }
  const resolve = async (
    { database, sketches }: Pick<TestStores, 'database' | 'sketches'> = stores,
    idOf: (name: string) => string | undefined = (name) => `id-${name}`,
  ): Promise<number> => {
    const needs = { database, sketches, rules: RULES, lifetimes: LIFETIMES, now }
    return resolveUsers({ ...needs, repositories: createRepositories({ ...needs, ...stores }), idOf })
  }

  /** The database, and the statements that were sent to it. */
  const recording = (): { database: Database; statements: CompiledQuery[] } => {
    const { database } = stores
    const statements: CompiledQuery[] = []
    const see = async (
      execute: () => Promise<QueryResult<unknown>>,
      text: string,
      parameters: readonly unknown[],
    ): Promise<QueryResult<unknown>> => {
      statements.push(CompiledQuery.raw(text, [...parameters]))
      return execute()
    }
    const transaction: Database['transaction'] = async (work, preparedAt) =>
      database.transaction(async (tx) => {
        const executor = seenBy(tx.getExecutor(), see)
        return work({ ...tx, getExecutor: () => executor })
      }, preparedAt)
    return { database: { ...database, sql: seeing(database.sql, see), transaction }, statements }
  }
  /** The plans of the statements that read `repositories`. */
  const plansOf = async (statements: CompiledQuery[]): Promise<string[]> => {
    const reading = statements.filter((statement) => /\b(from|update) repositories\b/.test(statement.sql))
    const plans = reading.map(async (statement) => {
      const { rows } = await stores.database.sql.executeQuery<{ 'QUERY PLAN': string }>({
        ...statement,
        sql: `explain ${statement.sql}`,
      })
      return rows.map((row) => row['QUERY PLAN']).join('\n')
    })
    return Promise.all(plans)
  }

  test('are found by index, and other repositories are not read', async () => {
    await createRows('known', 5_000, '17')
    await createRows('alice', 3, '?alice')
    await createRows('bob', 3, '?bob')
    await queue(['alice'])
    await queue(['carol'], TAGGED)
    const { database, statements } = recording()
    expect(await resolve({ ...stores, database })).toBe(2)
    expect(await repositoriesOf()).toEqual({
      '["17", "17"]': 5_000,
      '["?bob", "?bob"]': 3,
      '["id-alice", "id-alice"]': 3,
    })
    const plans = await plansOf(statements)
    // A name that no repository contains needs no update.
    expect(plans).toHaveLength(3)
    expect(plans.filter((plan) => plan.includes('Seq Scan on repositories'))).toEqual([])
  })

  test('expire by index, and other repositories are not read', async () => {
    await createRows('known', 5_000, '17', '2026-01-01')
    await createRows('old', 3, '?alice', '2026-01-01')
    await createRows('young', 3, '?alice')
    const { database, statements } = recording()
    expect(await deleteExpiredRows(database, RETENTION, now())).toBe(3)
    expect(await repositoriesOf()).toEqual({ '["17", "17"]': 5_000, '[]': 3, '["?alice", "?alice"]': 3 })
    const plans = await plansOf(statements)
    expect(plans).toHaveLength(2)
    expect(plans.filter((plan) => plan.includes('Seq Scan on repositories'))).toEqual([])
  })

  test('are replaced in portions, and the name leaves the queue after the last one', async () => {
    await createRows('alice', REPOSITORIES_PER_TRANSACTION, '?alice')
    await createRows('alice/known', 5, '?alice')
    await queue(['alice'], TAGGED)
    let isUnavailable = true
    const add: TestStores['sketches']['add'] = async (...more) =>
      isUnavailable ? Promise.reject(new Error('the last portion fails')) : stores.sketches.add(...more)
    const failing = { ...stores, sketches: { ...stores.sketches, add } }
    await expect(resolve(failing)).rejects.toThrow('1 failed; the others were done')
    expect(await repositoriesOf()).toEqual({
      '["id-alice", "id-alice"]': REPOSITORIES_PER_TRANSACTION,
      '["?alice", "?alice"]': 5,
    })
    expect(await countUnresolved(stores.database)).toBe(1)
    isUnavailable = false
    expect(await resolve(failing)).toBe(1)
    expect(await repositoriesOf()).toEqual({ '["id-alice", "id-alice"]': REPOSITORIES_PER_TRANSACTION + 5 })
    expect([await countUnresolved(stores.database), await countOf(stores, `${CREATED}-2026-47`)]).toEqual([0, 1])
  })

  test('without a user are removed', async () => {
    await createRows('nobody', 3, '?nobody')
    await queue(['nobody'])
    expect(await resolve(stores, () => undefined)).toBe(1)
    expect(await repositoriesOf()).toEqual({ '[]': 3 })
  })

  test('that cannot be stored move to the end of the queue, and the next names are counted', async () => {
    await queue(['aaa', 'alice', 'bob'], TAGGED)
    const looked: string[] = []
    const add: TestStores['sketches']['add'] = async (additions, ...more) =>
      additions.some(({ members }) => new Set(members).has('id-aaa'))
        ? Promise.reject(new Error('not this one'))
        : stores.sketches.add(additions, ...more)
    const failing = { ...stores, sketches: { ...stores.sketches, add } }
    const idOf = (name: string): string => {
      looked.push(name)
      return `id-${name}`
    }
    await expect(resolve(failing, idOf)).rejects.toThrow('1 failed; the others were done')
    expect([await countUnresolved(stores.database), await countOf(stores, `${TAGGED}-2026-47`)]).toEqual([1, 2])
    await queue(['zoe'], TAGGED)
    await expect(resolve(failing, idOf)).rejects.toThrow('1 failed; the others were done')
    expect(looked).toEqual(['aaa', 'alice', 'bob', 'zoe', 'aaa'])
    expect(await resolve(stores, idOf)).toBe(1)
    expect(await countOf(stores, `${TAGGED}-2026-47`)).toBe(4)
  })
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { firstMembers, REPOSITORIES_AT_ONCE } from '../../src/counters/first-events.js'
import { KEY_PREFIX } from '../../src/counters/keys.js'
import { countOf, createCounting } from '../servers/counting.js'
import { anEvent } from '../servers/events.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const CREATED = 'i_container_registry_create_repository_user-2026-47'
const PUSHED = 'i_container_registry_push_repository_user-2026-47'

const late = anEvent({ id: 2, name: 'bob', type: 'build', at: '2026-11-18T10:00:00Z' })
const early = anEvent({ id: 1, name: 'alice', type: 'build', at: '2026-11-18T09:00:00Z' })

describe.each(STORE_PAIRS)('sketches of many repositories, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const create = async (count: number): Promise<void> => {
    await sql`
      insert into repositories (registry, name, first_at, first_event, if_first, if_known)
      select 'a', 'app-' || n, '2026-11-18'::timestamptz + n / 10 * interval '1 microsecond', gen_random_uuid(),
        jsonb_build_array(jsonb_build_object('event', 'i_container_registry_create_repository_user', 'member', 'user-' || n)),
        '[]'::jsonb
      from generate_series(1, ${count}::int) n
    `.execute(stores.database.sql)
  }

  test('are read in portions, each repository once', async () => {
    await create(REPOSITORIES_AT_ONCE * 2 + 5)
    const portions: string[][] = []
    await stores.database.transaction(async (tx) => {
      for await (const members of firstMembers(tx, KEY_PREFIX + CREATED)) portions.push(members)
    })
    expect(portions.map(({ length }) => length)).toEqual([REPOSITORIES_AT_ONCE, REPOSITORIES_AT_ONCE, 5, 0])
    expect(new Set(portions.flat()).size).toBe(REPOSITORIES_AT_ONCE * 2 + 5)
  })

  test('are rebuilt each alone: one that cannot be rebuilt keeps no other from it', async () => {
    await create(2)
    const keys = [CREATED, CREATED.replace('-47', '-46')].map((name) => KEY_PREFIX + name)
    await sql`insert into stale_sketches select unnest(${keys}::text[])`.execute(stores.database.sql)
    const replace: TestStores['sketches']['replace'] = async (key, ...rest) =>
      key.endsWith('-46') ? Promise.reject(new Error('not this one')) : stores.sketches.replace(key, ...rest)
    const { rebuildStale } = createCounting({ ...stores, sketches: { ...stores.sketches, replace } })
    await expect(rebuildStale()).rejects.toThrow('1 failed; the others were done')
    expect(await countOf(stores, CREATED)).toBe(2)
  })
})

describe.each(STORE_PAIRS)('a first event that an older one displaces, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const stale = async (): Promise<number> =>
    Number((await sql<{ n: string }>`select count(*) as n from stale_sketches`.execute(stores.database.sql)).rows[0]?.n)

  test('is taken out of what was created when stale sketches are rebuilt', async () => {
    const { ingest, rebuildStale } = createCounting(stores)
    await ingest([late])
    await ingest([early])
    expect(await stale()).toBe(2)
    await rebuildStale()
    expect([await countOf(stores, CREATED), await countOf(stores, PUSHED)]).toEqual([1, 1])
    expect(await stale()).toBe(0)
  })

  test('is no mount: the push that follows it creates the repository', async () => {
    const { ingest } = createCounting(stores)
    const mount = anEvent({ id: 3, action: 'mount', name: 'alice', type: 'build', at: '2026-11-18T08:59:00Z' })
    await ingest([mount])
    await ingest([early, late])
    expect([await countOf(stores, CREATED), await countOf(stores, PUSHED)]).toEqual([1, 1])
    expect(await stale()).toBe(0)
  })

  test('does not delay events: they are recorded while sketches cannot be rebuilt', async () => {
    const replace = async (): Promise<void> => Promise.reject(new Error('no sketch can be replaced'))
    const { ingest, rebuildStale } = createCounting({ ...stores, sketches: { ...stores.sketches, replace } })
    await ingest([late])
    expect(await ingest([early])).toEqual(['recorded'])
    await expect(rebuildStale()).rejects.toThrow('2 failed; the others were done')
    expect(await stale()).toBe(2)
    await createCounting(stores).rebuildStale()
    expect([await countOf(stores, CREATED), await stale()]).toEqual([1, 0])
  })

  test('is taken out by whichever process rebuilds, also by two at once, while others arrive', async () => {
    const processes = [createCounting(stores), createCounting(stores)] as const
    const history = Array.from({ length: 60 }, (_, i) =>
      anEvent({
        id: 100 - i,
        repository: `team/app-${i % 3}`,
        name: `user-${i}`,
        type: 'build',
        at: new Date(Date.parse('2026-11-18T10:00:00Z') - i * 1000).toISOString(),
      }),
    )
    for (const [i, event] of history.entries()) {
      await Promise.all([processes[i % 2 ? 0 : 1].ingest([event]), ...processes.map(async (one) => one.rebuildStale())])
    }
    await processes[0].rebuildStale()
    expect([await countOf(stores, CREATED), await stale()]).toEqual([3, 0])
  })
})

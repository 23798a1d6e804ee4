import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { countOf, createCounting } from '../servers/counting.js'
import { anEvent } from '../servers/events.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const CREATED = 'i_container_registry_create_repository_user-2026-47'
const PUSHED = 'i_container_registry_push_repository_user-2026-47'

const late = anEvent({ id: 2, name: 'bob', type: 'build', at: '2026-11-18T10:00:00Z' })
const early = anEvent({ id: 1, name: 'alice', type: 'build', at: '2026-11-18T09:00:00Z' })

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

  test('keeps nobody waiting: events are recorded while sketches cannot be rebuilt', async () => {
    const replace = async (): Promise<void> => Promise.reject(new Error('no sketch can be replaced'))
    const { ingest, rebuildStale } = createCounting({ ...stores, sketches: { ...stores.sketches, replace } })
    await ingest([late])
    expect(await ingest([early])).toEqual(['recorded'])
    await expect(rebuildStale()).rejects.toThrow('no sketch can be replaced')
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

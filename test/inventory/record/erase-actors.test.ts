import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import type { RepositoryPath } from '../../../src/events/reference.js'
import { eraseActors } from '../../../src/inventory/record/erase-actors.js'
import { NOW } from '../../servers/clock.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent, DIGEST } from '../../servers/events.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const DAY_MS = 86_400_000
const daysAgo = (days: number): string => new Date(NOW.getTime() - days * DAY_MS).toISOString()
const path = (name: string): RepositoryPath => name as RepositoryPath

describe.each(STORE_PAIRS)('in %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  test('changes and renames of more than some days ago no longer say who made them', async () => {
    const pushed = { name: 'alice', object: 'manifest', digest: DIGEST } as const
    const renamed = { action: 'rename', name: 'bob' } as const
    const rename = { what: 'repository', from: path('a'), to: path('b') } as const
    const { ingest } = createCounting(stores)
    await ingest([
      anEvent({ id: 1, ...pushed, tag: 'old', at: daysAgo(401) }),
      anEvent({ id: 2, ...pushed, tag: 'new', at: daysAgo(399) }),
      anEvent({ id: 3, ...renamed, rename, at: daysAgo(401) }),
      anEvent({ id: 4, ...renamed, rename, at: daysAgo(399) }),
    ])
    await eraseActors(stores.database, 400, NOW)
    const actorsIn = async (table: string): Promise<(string | null)[]> => {
      const { rows } = await sql<{ actor: string | null }>`
        select a.name as actor from inventory.${sql.raw(table)} c left join inventory.actors a on a.id = c.actor_id
        order by c.at
      `.execute(stores.database.sql)
      return rows.map(({ actor }) => actor)
    }
    expect(await actorsIn('changes')).toEqual([null, 'alice'])
    expect(await actorsIn('renames')).toEqual([null, 'bob'])
  })
})

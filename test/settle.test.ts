import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { lockRepositories } from '../src/counters/first-events.js'
import type { RepositoryPath } from '../src/events/reference.js'
import { WINDOWS } from '../src/pulls/fold/windows.js'
import { settle } from '../src/settle.js'
import { createCounting } from './servers/counting.js'
import { anEvent, DIGEST } from './servers/events.js'
import { openServerStores, type TestStores } from './servers/stores.js'

const ALIASES = new Map([['alias.example', 'registry.example']])
const NOW = new Date('2026-11-19T10:00:00Z')

let stores: TestStores
beforeAll(async () => {
  stores = await openServerStores()
})
beforeEach(async () => stores.clear())
afterAll(async () => stores.close())

const settled = async (): Promise<void> =>
  settle({ database: stores.database, windows: WINDOWS, aliases: ALIASES, now: NOW })

const places = async (table: string): Promise<string[]> => {
  const { rows } = await sql<{ place: string }>`
    select registry || '/' || name as place from ${sql.raw(table)} order by 1
  `.execute(stores.database.sql)
  return rows.map(({ place }) => place)
}

const pushed = { object: 'manifest', digest: DIGEST, tag: 'latest', at: '2026-11-18T10:00:00Z' } as const

test('a part of settling that fails does not keep the others from being done', async () => {
  const { ingest } = createCounting(stores)
  await ingest([
    anEvent({ ...pushed, id: 1, registry: 'alias.example', repository: 'a' }),
    anEvent({ ...pushed, id: 2, repository: 'old' }),
    anEvent({
      id: 3,
      action: 'rename',
      repository: 'old',
      at: '2026-11-18T11:00:00Z',
      rename: { what: 'repository', from: 'old' as RepositoryPath, to: 'new' as RepositoryPath },
    }),
  ])
  const db = stores.database.sql
  await sql`alter table repositories rename to elsewhere`.execute(db)
  try {
    await expect(settled()).rejects.toThrow(AggregateError)
  } finally {
    await sql`alter table elsewhere rename to repositories`.execute(db)
  }
  expect(await places('inventory.repositories')).toEqual(['registry.example/a', 'registry.example/new'])
  expect(await places('repositories')).toContain('alias.example/a')
  await settled()
  expect(await places('repositories')).not.toContain('alias.example/a')
})

test('pulls that wait under an alias wait under the name of its registry', async () => {
  const pulled = { action: 'pull', object: 'manifest', digest: DIGEST, tag: 'latest' } as const
  await createCounting(stores).ingest([anEvent({ ...pulled, registry: 'alias.example', repository: 'a' })])
  await settled()
  const { rows } = await sql`select registry, repository from pulls.pending`.execute(stores.database.sql)
  expect(rows).toEqual([{ registry: 'registry.example', repository: 'a' }])
})

test('settling does not wait for first events where no alias is known', async () => {
  await createCounting(stores).ingest([anEvent({ ...pushed, id: 1 })])
  await stores.database.transaction(async (tx) => {
    await lockRepositories(tx)
    await settled()
  })
})

import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { lockRepositories } from '../../src/counters/first-events.js'
import type { RepositoryPath } from '../../src/events/reference.js'
import type { RegistryEvent } from '../../src/events/registry-event.js'
import { readReceptions } from '../../src/ingest/receptions-table.js'
import { WINDOWS } from '../../src/pulls/model/join-windows.js'
import { moveAliases } from '../../src/pulls/aliases/move-aliases.js'
import { settle } from '../../src/service/reorder.js'
import { counted, countOf, createCounting, LIFETIMES, RULES } from '../servers/counting.js'
import { anEvent, DIGEST } from '../servers/events.js'
import { eventually } from '../servers/process.js'
import { openServerStores, type TestStores } from '../servers/stores.js'

const ALIASES = new Map([['alias.example', 'registry.example']])
const NOW = new Date('2026-11-19T10:00:00Z')

let stores: TestStores
beforeAll(async () => {
  stores = await openServerStores()
})
beforeEach(async () => stores.clear())
afterAll(async () => stores.close())

const settled = async (): Promise<void> =>
  settle({ ...stores, rules: RULES, lifetimes: LIFETIMES, aliases: ALIASES, now: () => NOW })

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
  await moveAliases({ database: stores.database, windows: WINDOWS }, ALIASES)
  const { rows } = await sql`select registry, repository from pulls.pending`.execute(stores.database.sql)
  expect(rows).toEqual([{ registry: 'registry.example', repository: 'a' }])
})

test('settling does not wait for pulls of an alias that are moved, however many there are', async () => {
  await createCounting(stores).ingest([anEvent({ ...pushed, id: 1, registry: 'alias.example', repository: 'a' })])
  await stores.database.transaction(async (tx) => {
    await sql`lock table pulls.registries, pulls.pending, pulls.days in access exclusive mode`.execute(tx)
    await settled()
  })
  expect(await places('inventory.repositories')).toEqual(['registry.example/a'])
})

test('settling does not wait for first events where no alias is known', async () => {
  await createCounting(stores).ingest([anEvent({ ...pushed, id: 1 })])
  await stores.database.transaction(async (tx) => {
    await lockRepositories(tx)
    await settled()
  })
})

test('receptions under an alias are receptions of its registry', async () => {
  const db = stores.database.sql
  const at = (time: string): Date => new Date(`2026-11-18T${time}:00Z`)
  await sql`insert into receptions values
    ('registry.example', ${at('10:00')}, ${at('10:01')}, 2), ('alias.example', ${at('09:00')}, ${at('11:00')}, 3),
    ('other.example', ${at('09:00')}, ${at('09:00')}, 1)`.execute(db)
  await settled()
  expect(await readReceptions(stores.database, 10)).toEqual([
    { registry: 'registry.example', lastEventAt: at('10:00'), lastReceivedAt: at('11:00'), events: 5 },
    { registry: 'other.example', lastEventAt: at('09:00'), lastReceivedAt: at('09:00'), events: 1 },
  ])
})

test.each([
  ['alias.example', 'registry.example'],
  ['registry.example', 'alias.example'],
])(
  'a repository that alias and registry both know is one, created by the earlier event (%s first)',
  async (...hosts) => {
    const { ingest, rebuildStale } = createCounting(stores)
    const created = (registry: string, i: number): RegistryEvent =>
      anEvent({ id: i + 1, registry, repository: 'a', at: `2026-11-18T1${i}:00:00Z`, name: `user ${i}`, type: 'build' })
    await ingest(hosts.map(created))
    expect(await countOf(stores, 'i_container_registry_create_repository_user-2026-47')).toBe(2)
    await settled()
    await rebuildStale()
    expect(await places('repositories')).toEqual(['registry.example/a'])
    const together = await counted(stores)
    await stores.clear()
    const fresh = createCounting(stores)
    await fresh.ingest(hosts.map((_, i) => created('registry.example', i)))
    expect(together).toEqual(await counted(stores))
  },
)

test('a rename that was reported under an alias applies to what is known under the name', async () => {
  const { ingest } = createCounting(stores)
  const rename = { what: 'repository', from: 'old' as RepositoryPath, to: 'new' as RepositoryPath } as const
  const renamed = { id: 1, action: 'rename', registry: 'alias.example', repository: 'old', rename } as const
  await ingest([anEvent({ ...renamed, at: '2026-11-18T11:00:00Z' })])
  await settled()
  await ingest([anEvent({ ...pushed, id: 2, repository: 'old' })])
  await settled()
  expect(await places('inventory.repositories')).toEqual(['registry.example/new'])
})

test('checks are settled while a rename waits', async () => {
  const asked = { method: 'HEAD', address: '192.0.2.9', userAgent: 'containerd/v1.7.21' } as const
  const { ingest } = createCounting(stores, () => new Date('2026-11-18T11:00:00Z'))
  const rename = { what: 'repository', from: 'old' as RepositoryPath, to: 'new' as RepositoryPath } as const
  await ingest([
    anEvent({ ...pushed, id: 1, repository: 'old' }),
    anEvent({ id: 2, action: 'rename', repository: 'old', rename, at: '2026-11-18T11:00:00Z' }),
    anEvent({ ...pushed, ...asked, id: 3, repository: 'other', action: 'pull', at: '2026-11-18T11:00:00Z' }),
  ])
  const unsettled = async (): Promise<number> =>
    (await sql`select from inventory.tag_lookups where not settled`.execute(stores.database.sql)).rows.length
  expect(await unsettled()).toBe(1)
  let settling: Promise<void> | undefined
  await stores.database.transaction(async (tx) => {
    await sql`select from inventory.repositories where name = 'old' for update`.execute(tx)
    settling = settled()
    await eventually('the check is settled', async () => (await unsettled()) === 0)
  })
  await settling
  expect(await places('inventory.repositories')).toEqual(['registry.example/new', 'registry.example/other'])
})

test('a run of renames ends when it has had its time, and the next one goes on', async () => {
  const { ingest } = createCounting(stores)
  const rename = { what: 'namespace', from: 'old' as RepositoryPath, to: 'new' as RepositoryPath } as const
  await ingest([
    ...['a', 'b', 'c'].map((name, i) => anEvent({ ...pushed, id: 10 + i, repository: `old/${name}` })),
    anEvent({ id: 2, action: 'rename', repository: 'old', rename, at: '2026-11-18T11:00:00Z' }),
  ])
  let reads = 0
  /** A clock that is 3 s later each time it is read. */
  const now = (): Date => new Date(NOW.getTime() + 3_000 * reads++)
  const run = async (): Promise<void> =>
    settle({ ...stores, rules: RULES, lifetimes: LIFETIMES, aliases: ALIASES, now })
  await run()
  expect(await places('inventory.repositories')).toContain('registry.example/old/c')
  for (let runs = 0; runs < 12; runs++) await run()
  expect(await places('inventory.repositories')).toEqual(['a', 'b', 'c'].map((name) => `registry.example/new/${name}`))
})

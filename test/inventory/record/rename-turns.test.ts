import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import type { Digest, RepositoryPath } from '../../../src/events/reference.js'
import type { Rename } from '../../../src/events/registry-event.js'
import { carryOutRenames, createRenameTurns } from '../../../src/inventory/record/renames.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { inventoryOf, liveIn } from '../../servers/inventory.js'
import { runsOn } from '../../servers/runs.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

type Wanted = NonNullable<Parameters<typeof anEvent>[0]>

const digest = (name: string): Digest => `sha256:${name.padStart(64, '0')}` as Digest
const at = (second: number): string => `2026-11-18T10:00:${String(second).padStart(2, '0')}Z`
const pushed = (repository: string, second: number, more: Wanted = {}): Wanted => ({
  object: 'manifest',
  digest: digest('a'),
  tag: 'latest',
  repository,
  at: at(second),
  ...more,
})
const renamed = (
  what: Rename['what'],
  from: string,
  to: string,
  { second, registry = 'registry.example' }: { second: number; registry?: string },
): Wanted => ({
  action: 'rename',
  registry,
  repository: from,
  at: at(second),
  rename: { what, from: from as RepositoryPath, to: to as RepositoryPath },
})
/** True from its nth call on. */
const after = (calls: number): (() => boolean) => {
  let left = calls
  return () => --left <= 0
}

describe.each(STORE_PAIRS)('a run of renames that is over, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  beforeEach(async () => stores.clear())
  afterAll(async () => stores.close())

  let ids = 0
  const ingest = async (...wanted: Wanted[]): Promise<void> => {
    await createCounting(stores).ingest(wanted.map((one) => anEvent({ id: ++ids, ...one })))
  }
  const names = async (): Promise<string[]> => {
    const { rows } = await sql<{ name: string }>`
      select registry || '/' || name as name from inventory.repositories order by 1
    `.execute(stores.database.sql)
    return rows.map(({ name }) => name)
  }
  const pending = async (): Promise<number> => {
    const { rows } = await sql<{ count: number }>`
      select (select count(*) from inventory.renames where carried_at is null)::int
        + (select count(*) from inventory.open_moves)::int as count
    `.execute(stores.database.sql)
    return rows[0]?.count ?? 0
  }
  const run = async (isOver?: () => boolean, turns = createRenameTurns()): Promise<void> =>
    carryOutRenames(stores.database, { since: new Date(0), turns, ...(isOver && { isOver }) })

  const REPOSITORIES = ['a', 'b', 'c', 'd', 'e']

  test('leaves renames of one registry, and has carried out that of another one', async () => {
    const registry = 'a.example'
    await ingest(
      ...REPOSITORIES.map((name) => pushed(`n0/${name}`, 1, { registry })),
      ...Array.from({ length: 6 }, (_, i) => renamed('namespace', `n${i}`, `n${i + 1}`, { registry, second: 10 + i })),
      pushed('old', 1, { registry: 'b.example' }),
      renamed('repository', 'old', 'new', { registry: 'b.example', second: 30 }),
    )
    await run(after(16))
    expect(await names()).toContain('b.example/new')
    expect(await pending()).toBeGreaterThan(3)
    await run()
    expect(await names()).toEqual([...REPOSITORIES.map((name) => `a.example/n6/${name}`), 'b.example/new'])
    expect(await pending()).toBe(0)
  })

  test('moves late rows of an earlier rename, however many renames are pending', async () => {
    const turns = createRenameTurns()
    await ingest(pushed('old', 1), renamed('repository', 'old', 'new', { second: 30 }))
    await run(undefined, turns)
    await ingest(
      ...REPOSITORIES.map((name) => pushed(`n0/${name}`, 1)),
      ...Array.from({ length: 6 }, (_, i) => renamed('namespace', `n${i}`, `n${i + 1}`, { second: 40 + i })),
    )
    await run(after(3), turns)
    await ingest(pushed('old', 20))
    await run(after(6), turns)
    expect(await pending()).toBeGreaterThan(3)
    expect(await names()).not.toContain('registry.example/old')
  })

  test('begins with another registry the next time, however large the repository is with which it stopped', async () => {
    await ingest(
      pushed('old', 1, { registry: 'a.example' }),
      renamed('repository', 'old', 'new', { registry: 'a.example', second: 30 }),
      pushed('old', 1, { registry: 'b.example' }),
      renamed('repository', 'old', 'new', { registry: 'b.example', second: 30 }),
    )
    await sql`
      insert into inventory.repository_manifests (repository_id, digest, pushed_at, first_seen_at)
      select id, 'sha256:' || lpad(n::text, 64, '0'), ${at(1)}, ${at(1)}
      from inventory.repositories, generate_series(1, 2000) n where registry = 'a.example'
    `.execute(stores.database.sql)
    const turns = createRenameTurns()
    await run(() => true, turns)
    expect(await pending()).toBe(3)
    for (let runs = 0; runs < 16; runs++) await run(() => true, turns)
    expect(await names()).toEqual(['a.example/new', 'a.example/old', 'b.example/new'])
    await run(undefined, turns)
    expect(await names()).toEqual(['a.example/new', 'b.example/new'])
    expect(await pending()).toBe(0)
  })

  test('continues after repositories that cannot be moved', async () => {
    await ingest(
      ...REPOSITORIES.map((name) => pushed(`old/${name}`, 1, name < 'c' ? { tag: 'refused' } : {})),
      renamed('namespace', 'old', 'new', { second: 20 }),
      pushed('other', 1),
      renamed('repository', 'other', 'another', { second: 21 }),
    )
    const db = stores.database.sql
    const { rows } = await sql<{ id: number }>`select id from inventory.repositories`.execute(db)
    const known = sql.raw(rows.map(({ id }) => id).join(','))
    await sql`alter table inventory.tags add constraint refused check (name <> 'refused' or repository_id in (${known}))`.execute(
      db,
    )
    const turns = createRenameTurns()
    try {
      for (let runs = 0; runs < 40; runs++) await run(() => true, turns).catch(() => undefined)
    } finally {
      await sql`alter table inventory.tags drop constraint refused`.execute(db)
    }
    const moved = Object.keys(await liveIn(stores.database, 'registry.example')).sort()
    expect(moved).toEqual(expect.arrayContaining(['another', 'new/c', 'new/d', 'new/e']))
    expect(await pending()).toBeGreaterThan(0)
    await run(undefined, turns)
    await run(undefined, turns)
    expect(await names()).toEqual(
      ['another', ...REPOSITORIES.map((name) => `new/${name}`)].map((name) => `registry.example/${name}`),
    )
    expect(await pending()).toBe(0)
  })

  test('leaves what came late pending, and what moves it on', async () => {
    await ingest(
      pushed('a/x', 1),
      renamed('namespace', 'a', 'b', { second: 10 }),
      renamed('repository', 'b/x', 'c', { second: 20 }),
    )
    await run()
    await ingest(pushed('a/x', 2, { tag: 'late', digest: digest('b') }))
    const turns = createRenameTurns()
    await run(() => true, turns)
    expect(await pending()).toBe(3)
    while ((await pending()) > 0) await run(() => true, turns)
    expect(await liveIn(stores.database, 'registry.example')).toMatchObject({
      c: { tags: { latest: digest('a'), late: digest('b') } },
    })
  })

  test('moves on what was at the new path before it moves there what came late', async () => {
    await ingest(
      pushed('n/a', 0),
      renamed('namespace', 'n', 'o/n', { second: 1 }),
      renamed('namespace', 'n', 'o/n', { second: 30 }),
    )
    const turns = createRenameTurns()
    const finish = async (): Promise<void> => {
      for (let runs = 0; (await pending()) > 0 && runs < 200; runs++) await run(after(1), turns)
    }
    await finish()
    await ingest(renamed('namespace', 'o', 'p', { second: 10 }), pushed('n/a', 20))
    await run(after(1), turns)
    await finish()
    await run(undefined, turns)
    expect(await liveIn(stores.database, 'registry.example')).toMatchObject({
      'p/n/a': { tags: { latest: digest('a') } },
      'o/n/a': { tags: { latest: digest('a') } },
    })
  })

  const PATHS = ['n/a', 'n/b', 'm/a', 'm/b', 'k']
  const RENAMES = [
    ['namespace', 'n', 'm'],
    ['namespace', 'm', 'n'],
    ['namespace', 'n', 'o/n'],
    ['namespace', 'o', 'p'],
    ['repository', 'n/a', 'k'],
    ['repository', 'k', 'm/a'],
  ] as const
  const happening = fc.oneof(
    fc
      .record({
        path: fc.constantFrom(...PATHS),
        second: fc.integer({ min: 0, max: 40 }),
        tag: fc.constantFrom('latest', 'other'),
        name: fc.constantFrom('a', 'b', 'c'),
        action: fc.constantFrom('push', 'pull', 'delete'),
      })
      .map(({ path, second, tag, name, action }) => pushed(path, second, { tag, digest: digest(name), action })),
    fc
      .record({ which: fc.constantFrom(...RENAMES), second: fc.integer({ min: 0, max: 40 }) })
      .map(({ which: [what, from, to], second }) => renamed(what, from, to, { second })),
  )

  /** Gives each rename a moment of its own: for renames of one microsecond, the order in which they are carried out decides. */
  const apart = (happenings: readonly Wanted[]): Wanted[] => {
    const taken = new Set<unknown>()
    return happenings.map((one, i) => {
      if (one.action !== 'rename') return one
      const isTaken = taken.has(one.at)
      taken.add(one.at)
      return isTaken ? { ...one, at: String(one.at).replace('Z', `.${String(i).padStart(6, '0')}Z`) } : one
    })
  }

  test('leads to the same as one without an end', async () => {
    const cases = fc.record({
      history: fc.array(happening, { minLength: 2, maxLength: 12 }),
      late: fc.array(happening, { maxLength: 3 }),
      calls: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 }),
    })
    await fc.assert(
      fc.asyncProperty(cases, async ({ history, late, calls }) => {
        const reported = apart([...history, ...late]).map((one, i) => anEvent({ ...one, id: i + 1 }))
        const [events, others] = [reported.slice(0, history.length), reported.slice(history.length)]
        await stores.clear()
        await createCounting(stores).ingest(events)
        // A run carries out what was pending when it began, and marks what that leads to.
        const runAll = async (): Promise<void> => {
          for (let runs = 0; runs === 0 || ((await pending()) > 0 && runs < 200); runs++) await run()
          expect(await pending()).toBe(0)
        }
        await runAll()
        await createCounting(stores).ingest(others)
        await runAll()
        await run()
        const expected = await inventoryOf(stores.database)
        await stores.clear()
        await createCounting(stores).ingest(events)
        const turns = createRenameTurns()
        const finish = async (): Promise<void> => {
          for (let runs = 0; (await pending()) > 0 && runs < 200; runs++)
            await run(after(calls[runs % calls.length] ?? 1), turns)
          expect(await pending()).toBe(0)
        }
        await finish()
        await createCounting(stores).ingest(others)
        await run(after(calls[0] ?? 1), turns)
        await finish()
        await run(undefined, turns)
        await run(undefined, turns)
        expect(await inventoryOf(stores.database)).toEqual(expected)
      }),
      runsOn(stores.database, { postgresql: 25, pglite: 10 }),
    )
  })
})

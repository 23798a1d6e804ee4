import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { erase, finishErasures } from '../../../src/pulls/roll-up/erase.js'
import { foldPending } from '../../../src/pulls/fold-job/fold-pending.js'
import { moveAliases } from '../../../src/pulls/aliases/move-aliases.js'
import { rollUp } from '../../../src/pulls/roll-up/roll-up.js'
import type { Database } from '../../../src/storage/sql/database.js'
import { openPostgres } from '../../../src/storage/sql/postgres.js'
import { failAt } from '../../servers/fail-at.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { keepOutcomes, OUTCOME } from '../../servers/outcomes.js'
import { eventually } from '../../servers/process.js'
import { noting } from '../../servers/explained-rows.js'
import { runsOn } from '../../servers/runs.js'
import { seeing, seeingTransactions, withExecutor } from '../../servers/seen-statements.js'
import { openServerStores, STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const START = Date.parse('2026-11-18T12:00:00Z')
const digest = (name: string): string => `sha256:${name.repeat(64)}`

describe.each(STORE_PAIRS)('the erasure of a repository, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const on = (minute: number, event: Parameters<typeof anEvent>[0]): RegistryEvent =>
    anEvent({
      ...{ id: minute, at: new Date(START + minute * 60_000).toISOString(), object: 'manifest', repository: 'a' },
      ...{ mediaType: 'application/vnd.oci.image.manifest.v1+json', address: '192.0.2.1' },
      ...event,
    })
  const references = async (repository: string): Promise<string[]> => {
    const { rows } = await sql<{ reference: string }>`
      select reference from pulls.last_uses where repository = ${repository} order by reference
    `.execute(stores.database.sql)
    return rows.map(({ reference }) => reference)
  }

  test('erases last uses, except those of existing objects: a clean-up would treat these as unused', async () => {
    const image = { tag: '1.0', digest: digest('a') }
    const gone = { tag: '2.0', digest: digest('b') }
    await createCounting(stores).ingest([
      on(1, { action: 'push', ...image }),
      on(2, { action: 'push', ...gone }),
      on(20, { action: 'pull', method: 'GET', ...image }),
      on(21, { action: 'pull', method: 'GET', ...gone }),
      on(22, { action: 'pull', method: 'GET', ...gone, repository: 'b' }),
      on(23, { action: 'delete', digest: gone.digest }),
    ])
    for (const minute of [30, 60])
      await foldPending({
        database: stores.database,
        windows: WINDOWS,
        lateness: 1,
        now: () => new Date(START + minute * 60_000),
        onFolded: async () => Promise.resolve(),
      })
    const all = ['1.0', '2.0', digest('a'), digest('b')]
    expect(await references('a')).toEqual(all)
    await erase(stores.database, { repository: 'a', origin: 'somebody' })
    expect(await references('a')).toEqual(all)
    await erase(stores.database, { repository: 'a' })
    expect(await references('a')).toEqual(['1.0', digest('a')])
    await erase(stores.database, { repository: 'b', registries: ['another.example'] })
    expect(await references('b')).toEqual(['2.0', digest('b')])
    await sql`delete from inventory.tags`.execute(stores.database.sql)
    await sql`update inventory.repository_manifests set deleted_at = now()`.execute(stores.database.sql)
    await erase(stores.database, { repository: 'a' })
    await erase(stores.database, { repository: 'b' })
    expect([await references('a'), await references('b')]).toEqual([[], []])
  })

  test('erases all pending requests, and stores their last uses: except checks before a push', async () => {
    const image = { tag: '1.0', digest: digest('a') }
    const checked = { tag: '2.0', digest: digest('b') }
    const { ingest } = createCounting(stores)
    await ingest([
      on(0, { action: 'push', ...image, address: '192.0.2.7' }),
      on(10, { action: 'pull', method: 'HEAD', ...checked }),
    ])
    await ingest([on(11, { action: 'push', ...checked })])
    await ingest(
      Array.from({ length: 1_100 }, (_, i) =>
        on(20 + i / 1_000, { id: 100 + i, action: 'pull', method: 'HEAD', ...image, address: '192.0.2.2' }),
      ),
    )
    expect((await erase(stores.database, { repository: 'a' })).requests).toBe(1_101)
    expect((await sql`select from pulls.pending`.execute(stores.database.sql)).rows).toEqual([])
    expect(await references('a')).toEqual(['1.0', digest('a')])
  })
})

/** A day of twenty invocations of two repositories, folded and not rolled up. */
const keepDay = async ({ database }: TestStores): Promise<void> => {
  await sql`
    insert into pulls.registries (registry, folded_to, rolled_to) values ('registry.example', '2026-11-25', '-infinity')
  `.execute(database.sql)
  const invocations = Array.from({ length: 20 }, (_, i) => ({
    ...{ ...OUTCOME, repository: i % 2 === 0 ? 'a' : 'b', origin: 'somebody' },
    ...{ id: String(i), at: new Date(START + i * 1_800_000).toISOString() },
  }))
  await keepOutcomes(database, invocations)
}
/** The tables that still contain a repository or an origin. */
const leftOf = async ({ database: { sql: db } }: TestStores): Promise<unknown> => {
  const { rows } = await sql`
    select (select count(*) from pulls.outcomes where repository = 'a')::int as outcomes,
      (select count(*) from pulls.days where repository = 'a')::int as days,
      (select count(*) from pulls.behaviours where origin = 'somebody' and repository = 'a')::int as behaviours
  `.execute(db)
  return rows[0]
}

test.each(STORE_PAIRS)('an erasure and a roll-up at the same time leave nothing, on %s', async (_, open) => {
  const stores = await open()
  try {
    await keepDay(stores)
    await Promise.all([
      rollUp({ database: stores.database, windows: WINDOWS }),
      erase(stores.database, { repository: 'a' }),
    ])
    expect(await leftOf(stores)).toEqual({ outcomes: 0, days: 0, behaviours: 0 })
  } finally {
    await stores.close()
  }
})

test.each(STORE_PAIRS)('an erasure that was interrupted at any statement is finished, on %s', async (_, open) => {
  const stores = await open()
  try {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 40 }), async (at) => {
        await stores.clear()
        await keepDay(stores)
        await rollUp({ database: stores.database, windows: WINDOWS })
        const failing = failAt(stores.database, at)
        const isFinished = await erase(failing, { repository: 'a' }).then(
          () => true,
          () => false,
        )
        const { rows: noted } = await sql`select from pulls.erasures`.execute(stores.database.sql)
        // The first statement stores the erasure, the last one removes it.
        if (at === 1 || isFinished) expect(noted).toEqual([])
        else expect(await finishErasures(stores.database, 60)).toBe(0)
        const count = await finishErasures(stores.database, 0)
        expect(count).toBe(noted.length)
        if (at > 1) expect(await leftOf(stores)).toEqual({ outcomes: 0, days: 0, behaviours: 0 })
        expect((await sql`select from pulls.erasures`.execute(stores.database.sql)).rows).toEqual([])
      }),
      runsOn(stores.database, { postgresql: 15, pglite: 8 }),
    )
  } finally {
    await stores.close()
  }
})

test.each(STORE_PAIRS)('an erasure that began while the clock was ahead is finished, on %s', async (_, open) => {
  const { database, close } = await open()
  try {
    await sql`insert into pulls.erasures (noted_at, origin) values (now() + interval '1 year', 'o')`.execute(
      database.sql,
    )
    expect(await finishErasures(database, 60)).toBe(1)
    expect(await finishErasures(database, 0)).toBe(0)
  } finally {
    await close()
  }
})

test.each(STORE_PAIRS)('an erasure beside a move of the registry leaves nothing, on %s', async (_, open) => {
  const stores = await open()
  const names = ['alias.example', 'registry.example']
  try {
    const { sql: db, jobs } = stores.database
    await sql`insert into pulls.registries (registry) select unnest(${names}::text[])`.execute(db)
    // Each row fills a block. The first blocks become free, and the erasure has read them when the last row moves there.
    await sql`alter table pulls.outcomes alter tag set storage plain`.execute(db)
    const origins = ['gone', 'gone', 'gone', 'somebody']
    await keepOutcomes(
      stores.database,
      origins.map((origin, i) => ({
        ...{ ...OUTCOME, registry: 'alias.example', origin, id: String(i), tag: 'x'.repeat(6_000) },
        at: new Date(START).toISOString(),
      })),
    )
    await sql`delete from pulls.outcomes where origin = 'gone'`.execute(db)
    await sql`vacuum pulls.outcomes`.execute(db)
    let seen = 0
    const slow = seeing(jobs, async (execute, text) => {
      if (text.includes('delete from "pulls"."outcomes"') && ++seen === origins.length)
        await moveAliases({ database: stores.database, windows: WINDOWS }, new Map([['alias.example', names[1] ?? '']]))
      return execute()
    })
    const erased = await erase({ ...stores.database, jobs: slow }, { origin: 'somebody', registries: names }, 1)
    const { rows } = await sql`select from pulls.outcomes where origin = 'somebody'`.execute(db)
    expect([seen > origins.length, erased.invocations, rows.length]).toEqual([true, 1, 0])
  } finally {
    await stores.close()
  }
})

test.each(STORE_PAIRS)(
  'an erasure ends although a move of the registry is tried all the time and waits, on %s',
  async (_, open) => {
    const stores = await open()
    const aliases = new Map([['alias.example', 'registry.example']])
    try {
      const { sql: db, jobs } = stores.database
      await sql`
      insert into pulls.registries (registry, folded_to, rolled_to) values
        ('alias.example', '2026-11-18 12:00Z', '-infinity'), ('registry.example', '2026-11-25', '2026-11-24')
    `.execute(db)
      await keepOutcomes(stores.database, [
        { ...OUTCOME, registry: 'alias.example', origin: 'somebody', at: new Date(START).toISOString(), id: '1' },
      ])
      await sql`
      insert into pulls.pending (id, registry, at, repository, origin, request, who)
      values (gen_random_uuid(), 'alias.example', '2026-11-18 12:00:01Z', 'a', 'another', '{}', '{}')
    `.execute(db)
      let moves = 0
      const beside = seeing(jobs, async (execute, text) => {
        if (text.includes('delete from "pulls"."outcomes"')) {
          moves++
          await moveAliases({ database: stores.database, windows: WINDOWS }, aliases)
        }
        return execute()
      })
      await erase({ ...stores.database, jobs: beside }, { origin: 'somebody' }, 1)
      expect(moves).toBeGreaterThan(0)
      expect(moves).toBeLessThan(10)
      const { rows } = await sql`select from pulls.outcomes where origin = 'somebody'`.execute(db)
      expect(rows).toEqual([])
    } finally {
      await stores.close()
    }
  },
)

describe('an erasure while a transaction of PostgreSQL writes what it has read', () => {
  const GATE = 42
  let stores: TestStores
  let others: Database
  beforeAll(async () => {
    stores = await openServerStores()
    others = openPostgres(stores.url ?? '')
    await sql`
      create function slow() returns trigger language plpgsql as
        $$ begin perform pg_advisory_xact_lock_shared(${sql.lit(GATE)}); return null; end $$
    `.execute(stores.database.sql)
    for (const table of ['days', 'behaviours', 'chains'])
      await sql`
        create trigger slow before insert on ${sql.table(`pulls.${table}`)} for each statement execute function slow()
      `.execute(stores.database.sql)
  })
  afterAll(async () => {
    await others.close()
    await stores.close()
  })
  beforeEach(async () => stores.clear())

  const waiting = async (): Promise<number> => {
    const { rows } = await sql<{ waiting: number }>`
      select count(*)::int as waiting from pg_stat_activity
      where wait_event_type = 'Lock' and datname = current_database()
    `.execute(stores.database.sql)
    return rows[0]?.waiting ?? 0
  }

  test.each([
    ['repository', { repository: 'a' }, { outcomes: 0, days: 0, behaviours: 0 }],
    ['origin', { origin: 'somebody' }, { outcomes: 0, days: expect.any(Number), behaviours: 0 }],
  ])('leaves no row of the %s if a day is rolled up', async (_, erasure, nothing) => {
    await keepDay(stores)
    let rolling: Promise<void> = Promise.resolve()
    let erasing: Promise<unknown> = Promise.resolve()
    await others.jobs.transaction().execute(async (tx) => {
      await sql`select pg_advisory_xact_lock(${GATE})`.execute(tx)
      rolling = rollUp({ database: stores.database, windows: WINDOWS })
      await eventually('the roll-up writes', async () => (await waiting()) === 1)
      let isErased = false
      erasing = erase(others, erasure).finally(() => (isErased = true))
      await eventually('the erasure waits or ends', async () => isErased || (await waiting()) === 2)
    })
    await Promise.all([rolling, erasing])
    expect(await leftOf(stores)).toEqual(nothing)
  })

  test('leaves no row of an origin if requests are folded that continue its chain', async () => {
    const { sql: db } = stores.database
    const { ingest } = createCounting(stores)
    const ask = (second: number, method: string): RegistryEvent => ({
      ...anEvent({ id: second, action: 'pull', at: new Date(START + second * 1_000).toISOString(), method, tag: '1' }),
      ...{ object: 'manifest', address: '192.0.2.1' },
    })
    const foldAt = async (minute: number): Promise<void> =>
      foldPending({
        ...{ database: stores.database, windows: WINDOWS, lateness: 1 },
        ...{ now: () => new Date(START + minute * 60_000), onFolded: async () => Promise.resolve() },
      })
    await ingest([ask(0, 'HEAD')])
    for (const minute of [10, 20]) await foldAt(minute)
    const { rows: chains } = await sql<{ origin: string }>`select origin from pulls.chains`.execute(db)
    const origin = chains[0]?.origin ?? ''
    const left = async (): Promise<unknown> => {
      const of = sql`where origin = ${origin}`
      const { rows } = await sql`
        select (select count(*) from pulls.chains ${of})::int as chains, (select count(*) from pulls.outcomes ${of})::int as outcomes,
          (select count(*) from pulls.requests ${of})::int as requests
      `.execute(db)
      return rows[0]
    }
    expect(await left()).toEqual({ chains: 1, outcomes: 1, requests: 1 })

    let folding: Promise<void> = Promise.resolve()
    let erasing: Promise<unknown> = Promise.resolve()
    const beginFold = async (): Promise<void> => {
      await ingest([ask(30, 'GET')])
      await foldAt(30)
      folding = foldAt(40)
      await eventually('the fold writes the chain', async () => (await waiting()) === 1)
    }
    let isBegun = false
    const see: Parameters<typeof seeing>[1] = async (execute, text, parameters) => {
      const isAtChains = parameters.includes('pulls.chains') || /from pulls.registries\s.*for update/s.test(text)
      if (isAtChains && !isBegun) {
        isBegun = true
        await beginFold()
      }
      return execute()
    }
    await others.jobs.transaction().execute(async (tx) => {
      await sql`select pg_advisory_xact_lock(${GATE})`.execute(tx)
      let isErased = false
      const jobs = seeing(seeingTransactions(others.jobs, see), see)
      erasing = erase({ ...others, jobs }, { origin }).finally(() => (isErased = true))
      await eventually('the erasure waits or ends', async () => isErased || (await waiting()) === 2)
    })
    await Promise.all([folding, erasing])
    expect([isBegun, await left()]).toEqual([true, { chains: 0, outcomes: 0, requests: 0 }])
  })
})

/** All tables with an origin, which an erasure of an origin or a repository reads. */
const TABLES = ['pending', 'chains', 'requests', 'outcomes', 'behaviours'].map((table) => `pulls.${table}`)

describe.each(STORE_PAIRS)('an erasure in portions, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  /** Rows of three origins and two repositories in turns, about a hundred in a block. */
  const fill = async (rows: number): Promise<void> => {
    await stores.clear()
    const who = sql`'r' || n % 5 % 2 as registry, 'p' || n % 7 % 2 as repository, 'o' || n % 11 % 3 as origin`
    const filled = sql`
      create temporary table filled as
      select n, ${who}, timestamptz '2026-11-18' + n * interval '1 second' as at, gen_random_uuid() as id
      from generate_series(1, ${rows}::int) as n
    `
    const statements = [
      filled,
      sql`insert into pulls.pending (id, registry, at, request, repository, origin, who)
        select id, registry, at, '{"object":"blob","method":"GET"}', repository, origin, '{}' from filled`,
      sql`insert into pulls.chains select * from (
        select distinct on (registry, repository, origin) registry, repository, origin, at, '', '' from filled) one`,
      sql`insert into pulls.requests (id, at, registry, repository, origin, is_late, request, who)
        select id, at, registry, repository, origin, false, '{}', '' from filled`,
      sql`insert into pulls.outcomes
        select o.* from filled f cross join lateral jsonb_populate_record(null::pulls.outcomes, ${JSON.stringify(OUTCOME)}::jsonb
          || jsonb_build_object('id', n::text, 'at', f.at, 'registry', f.registry, 'repository', f.repository, 'origin', f.origin)) o`,
      sql`insert into pulls.behaviours
        select distinct on (day, registry, repository, origin) date '2026-11-18' + n / 50 as day, registry, repository, origin, 'b', 'l'
        from filled`,
      sql`drop table filled`,
    ]
    await stores.database.jobs.transaction().execute(async (tx) => {
      for (const statement of statements) await statement.execute(tx)
    })
  }
  const rowsOf = async (table: string, erased = sql`true`): Promise<number> => {
    const { rows } = await sql<{ count: number }>`
      select count(*)::int as count from ${sql.table(table)} where ${erased}
    `.execute(stores.database.sql)
    return rows[0]?.count ?? NaN
  }

  test('erases the same rows, whatever the portions', async () => {
    const erasures = fc
      .record({
        origin: fc.option(fc.constantFrom('o0', 'o1', 'none'), { nil: undefined }),
        repository: fc.option(fc.constantFrom('p0', 'p1'), { nil: undefined }),
        registries: fc.option(fc.subarray(['r0', 'r1']), { nil: undefined }),
      })
      .filter(({ origin, repository }) => origin !== undefined || repository !== undefined)
    await fc.assert(
      fc.asyncProperty(erasures, fc.integer({ min: 1, max: 4 }), async (erasure, blocksAtOnce) => {
        await fill(400)
        const { origin, repository, registries } = erasure
        const isErased = sql`(${origin ?? null}::text is null or origin = ${origin ?? null})
          and (${repository ?? null}::text is null or repository = ${repository ?? null})
          and (${registries ?? null}::text[] is null or registry = any(${registries ?? null}::text[]))`
        const kept = await Promise.all(TABLES.map(async (table) => rowsOf(table, sql`not (${isErased})`)))
        const invocations = await rowsOf('pulls.outcomes', isErased)
        const requests = await rowsOf('pulls.pending', isErased)
        expect(await erase(stores.database, erasure, blocksAtOnce)).toMatchObject({ invocations, requests })
        expect(await Promise.all(TABLES.map(async (table) => rowsOf(table)))).toEqual(kept)
        for (const table of TABLES) expect(await rowsOf(table, isErased)).toBe(0)
      }),
      runsOn(stores.database, { postgresql: 12, pglite: 4 }),
    )
  })

  test('reads a bounded number of rows in one statement', async () => {
    await fill(12_000)
    await sql`delete from pulls.pending`.execute(stores.database.sql)
    const { jobs } = stores.database
    const read: number[] = []
    const noted = withExecutor(jobs, noting(jobs, read, { withRemoved: true }).getExecutor())
    await erase({ jobs: noted, eraseTraces: async () => Promise.resolve([]) }, { origin: 'o1' }, 32)
    expect(await rowsOf('pulls.outcomes', sql`origin = 'o1'`)).toBe(0)
    // Of each table at most 32 blocks.
    expect(await rowsOf('pulls.outcomes')).toBeGreaterThan(6_000)
    expect(Math.max(...read)).toBeGreaterThan(500)
    expect(Math.max(...read)).toBeLessThan(6_000)
  })
})

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { KEY_PREFIX } from '../../src/counters/keys.js'
import { mergeRepositories } from '../../src/counters/merge-repositories.js'
import { deleteExpiredRows } from '../../src/service/expire-rows.js'
import { ImportError } from '../../src/counters/export-lines.js'
import { exportCounters, ExportStopped } from '../../src/counters/export-counters.js'
import { importCounters } from '../../src/counters/import-counters.js'
import { createRegistries } from '../../src/registries/registries.js'
import { createRegistryIdentity } from '../../src/registries/registry-identity.js'
import { NOW } from '../servers/clock.js'
import { counted, countOf, createCounting, LIFETIMES, RULES } from '../servers/counting.js'
import { anEvent } from '../servers/events.js'
import { openEmbeddedStores, openServerStores, STORE_PAIRS, type TestStores } from '../servers/stores.js'

let embedded: TestStores
let servers: TestStores
beforeAll(async () => {
  ;[embedded, servers] = await Promise.all([openEmbeddedStores(), openServerStores()])
})
afterAll(async () => Promise.all([embedded.close(), servers.close()]))
beforeEach(async () => Promise.all([embedded.clear(), servers.clear()]))

const linesOf = async (stores: TestStores, registryIdentity: 'host' | 'process' = 'process'): Promise<string[]> => {
  const lines = []
  const { rebuildStale } = createCounting(stores)
  for await (const line of exportCounters(
    { ...stores, rebuildStale },
    { fingerprint: 'fingerprint', registryIdentity },
  ))
    lines.push(line)
  return lines
}
async function* given(lines: string[]): AsyncGenerator<string> {
  for (const line of lines) yield Promise.resolve(line)
}

const history = Array.from({ length: 2_600 }, (_, i) =>
  anEvent({
    id: i + 1,
    action: i % 5 === 0 ? 'delete' : 'push',
    repository: `team/app-${i % 1_300}`,
    at: new Date(Date.parse('2026-11-01T00:00:00Z') + i * 600_000).toISOString(),
    name: `user-${i}`,
    type: 'build',
    ...(i % 2 === 0 && { tag: '1' }),
  }),
)

const TALLY = '{"kind":"tally","name":"a","day":"2026-11-21","value":1}'
const END = '{"kind":"end","lines":{"sketch":0,"tally":2,"repository":0,"unresolved_user":0}}'

describe('counters move from one pair of stores to the other, losing nothing', () => {
  test.each([
    ['the embedded stores', 'Redis and PostgreSQL', () => [embedded, servers] as const],
    ['Redis and PostgreSQL', 'the embedded stores', () => [servers, embedded] as const],
  ])('from %s to %s', async (_from, _to, pair) => {
    const [from, to] = pair()
    await createCounting(from).ingest(history)
    await sql`insert into unresolved_users values ('alice', 'x', '2026-11-21')`.execute(from.database.sql)
    const lines = await linesOf(from)
    const done = await importCounters(to, given(lines), { fingerprint: 'fingerprint', now: NOW })
    expect(done).toMatchObject({ repository: 1_300, unresolved_user: 1 })
    expect(done.sketch).toBeGreaterThan(15)
    expect(done.tally).toBeGreaterThan(30)

    expect(await counted(to)).toEqual(await counted(from))
    const keys = Object.keys(await counted(from)).filter((key) => key.startsWith(KEY_PREFIX))
    expect(await to.sketches.count(keys.map((key) => [key]))).toEqual(
      await from.sketches.count(keys.map((key) => [key])),
    )

    await importCounters(to, given(lines), { fingerprint: 'fingerprint', now: NOW })
    expect(await counted(to)).toEqual(await counted(from))
  })

  test('what was known stays known: no repository is created twice', async () => {
    await createCounting(embedded).ingest([anEvent({ id: 1, name: 'alice', type: 'build' })])
    await importCounters(servers, given(await linesOf(embedded)), { fingerprint: undefined, now: NOW })
    const before = await counted(servers)
    await createCounting(servers).ingest([anEvent({ id: 2, name: 'bob', type: 'build', at: '2026-11-19T00:00:00Z' })])
    const created = `${KEY_PREFIX}i_container_registry_create_repository_user-2026-47`
    expect((await counted(servers))[created]).toEqual(before[created])
  })

  describe('which registry an event is of stays decided', () => {
    const modeOf = async ({ database }: TestStores, setting?: 'host' | 'process'): Promise<string> => {
      const configured = createRegistries(() => [])
      return (await createRegistryIdentity({ database, configured, setting, now: () => NOW })).mode
    }
    const reset = async (): Promise<void> => {
      await sql`update registry_identity set had_data = false`.execute(servers.database.sql)
    }
    beforeEach(reset)
    afterEach(reset)

    test.each(['host', 'process'] as const)('by %s', async (mode) => {
      expect(await modeOf(servers)).toBe('process')
      await importCounters(servers, given(await linesOf(embedded, mode)), { fingerprint: undefined, now: NOW })
      expect(await modeOf(servers)).toBe(mode)
      expect(await modeOf(servers, 'process')).toBe('process')
    })

    test('by host, if the export is of a version without the setting', async () => {
      const [heading = '', ...rest] = await linesOf(embedded)
      const old = heading.replace(',"registry_identity":"process"', '')
      expect(old).not.toBe(heading)
      await importCounters(servers, given([old, ...rest]), { fingerprint: undefined, now: NOW })
      expect(await modeOf(servers)).toBe('host')
    })

    test('as the store does that has heard of registries', async () => {
      await sql`insert into registry_processes values ('p1', 'a', ${NOW}, ${NOW}, 1)`.execute(servers.database.sql)
      await importCounters(servers, given(await linesOf(embedded, 'host')), { fingerprint: undefined, now: NOW })
      expect(await modeOf(servers)).toBe('process')
    })

    test('as it was, if the import fails', async () => {
      const [heading = ''] = await linesOf(embedded, 'host')
      await expect(importCounters(servers, given([heading]), { fingerprint: undefined, now: NOW })).rejects.toThrow(
        ImportError,
      )
      expect(await modeOf(servers)).toBe('process')
    })
  })

  test('a first event that was displaced a moment ago is put right in the export', async () => {
    const { ingest } = createCounting(embedded)
    await ingest([anEvent({ id: 2, name: 'late', type: 'build', at: '2026-11-19T00:00:00Z' })])
    await ingest([anEvent({ id: 1, name: 'early', type: 'build', at: '2026-11-18T00:00:00Z' })])
    await importCounters(servers, given(await linesOf(embedded)), { fingerprint: undefined, now: NOW })
    expect(await countOf(servers, 'i_container_registry_create_repository_user-2026-47')).toBe(1)
  })

  test.each<[string, string[], RegExp]>([
    ['nothing', [], /the export is empty/],
    ['another file', ['{"kind":"something"}'], /line 1: not an export of Tallyman/],
    ['a later version', ['{"kind":"tallyman-counters","version":2}'], /line 1: version 2 is not known/],
    ['another users key', ['{"kind":"tallyman-counters","version":1,"users_key_fingerprint":"x"}'], /--other-users/],
    [
      'an unknown way to identify registries',
      ['{"kind":"tallyman-counters","version":1,"users_key_fingerprint":"fingerprint","registry_identity":7}'],
      /line 1: registry_identity 7 is not known, expected host or process/,
    ],
    ['a line that is cut off', ['HEADING', '{"kind":"sketch","key":'], /line 2: not JSON/],
    ['an unknown kind', ['HEADING', '{"kind":"poem"}'], /line 2: "poem" is an unknown kind/],
    ['a kind that every object has', ['HEADING', '{"kind":"constructor"}'], /line 2: "constructor" is an unknown kind/],
    ['no object', ['HEADING', 'null'], /line 2: not a JSON object/],
    ['null instead of the heading', ['null'], /line 1: not a JSON object/],
    ['a tally without a day', ['HEADING', '{"kind":"tally","name":"a","value":1}'], /line 2: day: /],
    [
      'a day that is none',
      ['HEADING', '{"kind":"tally","name":"a","value":1,"day":"2026-02-30"}'],
      /line 2: day: is not a day like 2026-11-21/,
    ],
    [
      'a NUL in a name',
      ['HEADING', '{"kind":"unresolved_user","name":"a\\u0000","event":"","day":"2026-02-03"}'],
      /line 2: name: contains characters that are not text/,
    ],
    ['an export without its last line', ['HEADING', TALLY], /cut off after line 2: export again/],
    [
      'an export without its beginning',
      ['HEADING', TALLY, END],
      /line 3: the export had 2 lines of the kind tally, but here are 1/,
    ],
    [
      'an end that says nothing',
      ['HEADING', '{"kind":"end"}'],
      /line 2: the number of lines of the kind sketch is missing/,
    ],
    [
      'an end with a key of every object',
      ['HEADING', '{"kind":"end","lines":{"__proto__":{"sketch":0}}}'],
      /line 2: the number of lines of the kind sketch is missing/,
    ],
    ['two exports in one file', ['HEADING', TALLY, TALLY, END, 'HEADING'], /line 5: comes after the end/],
    [
      'a foreign key',
      ['HEADING', '{"kind":"sketch","key":"users:1","seconds":1,"bytes":""}'],
      /line 2: key: is not one of Tallyman's/,
    ],
    [
      'a name that is too long',
      ['HEADING', TALLY.replace('"a"', `"${'x'.repeat(300)}"`)],
      /line 2: name: is not the name of a total/,
    ],
    [
      'a sketch that is none',
      ['HEADING', '{"kind":"sketch","key":"{hll_counters}_a-2026-47","seconds":1,"bytes":"AAAA"}'],
      /line 2: /,
    ],
  ])('%s is refused', async (_, lines, message) => {
    const heading = '{"kind":"tallyman-counters","version":1,"users_key_fingerprint":"fingerprint"}'
    const attempt = importCounters(embedded, given(lines.map((line) => line.replace('HEADING', heading))), {
      fingerprint: 'fingerprint',
      now: NOW,
    })
    await expect(attempt).rejects.toThrow(ImportError)
    await expect(attempt).rejects.toThrow(message)
  })
})

test('what is older than its time is forgotten, and nothing else', async () => {
  const { database } = servers
  await sql`insert into event_ids (id, seen_on) select gen_random_uuid(), current_date - n % 20 from generate_series(1, 25000) as n`.execute(
    database.sql,
  )
  await sql`insert into rejected_events (id, received_at, reason, detail, excerpt)
    select gen_random_uuid(), now() - n * interval '1 hour', 'r', 'd', 'e' from generate_series(1, 100) as n`.execute(
    database.sql,
  )
  await sql`insert into sketches values ('old', '', now() - interval '1 second'), ('young', '', now() + interval '1 hour')`.execute(
    database.sql,
  )
  await sql`insert into tallies values ('kept', '2001-01-01', 1)`.execute(database.sql)
  await sql`insert into leases values ('over', 'x', now() - interval '2 days'), ('held', 'x', now() + interval '1 hour')`.execute(
    database.sql,
  )
  const retention = {
    eventIdDays: 14,
    rejectedEventDays: 3,
    rejectedEvents: 50,
    unresolvedUserDays: 42,
  }
  await deleteExpiredRows(database, retention, NOW)
  const count = async (table: string): Promise<number> =>
    Number((await sql<{ n: string }>`select count(*) as n from ${sql.table(table)}`.execute(database.sql)).rows[0]?.n)
  expect(await count('event_ids')).toBe(18_750)
  expect(await count('rejected_events')).toBe(50)
  expect(await count('sketches')).toBe(1)
  expect(await count('tallies')).toBe(1)
  expect(await count('leases')).toBe(1)
  expect(await deleteExpiredRows(database, retention, NOW)).toBe(0)
})

describe.each(STORE_PAIRS)('an export from %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  beforeEach(async () => stores.clear())
  afterAll(async () => stores.close())

  const create = async (registry: string, count: number): Promise<void> => {
    await sql`
      insert into repositories (registry, name, first_at, first_event, if_first, if_known)
      select ${registry}, 'app-' || n, '2026-11-20'::timestamptz, gen_random_uuid(), '[]'::jsonb, '[]'::jsonb
      from generate_series(1, ${count}::int) n
    `.execute(stores.database.sql)
  }
  const merge = async (alias: string, registry: string): Promise<void> =>
    mergeRepositories({ ...stores, rules: RULES, lifetimes: LIFETIMES }, new Map([[alias, registry]]))
  const begin = (): AsyncGenerator<string> => {
    const { rebuildStale } = createCounting(stores)
    return exportCounters({ ...stores, rebuildStale }, { fingerprint: 'fingerprint', registryIdentity: 'process' })
  }
  /** The lines, after each of which something may happen. */
  const linesWith = async (lines: string[], onLine: (line: string) => Promise<void>): Promise<void> => {
    for await (const line of begin()) {
      lines.push(line)
      await onLine(line)
    }
  }

  test('ends without its closing line if repositories pass behind its position', async () => {
    await create('m', 1_500)
    await create('z', 3)
    const lines: string[] = []
    let isMerged = false
    const exporting = linesWith(lines, async (line) => {
      if (isMerged || !line.includes('"repository"')) return
      isMerged = true
      await merge('z', 'a')
    })
    await expect(exporting).rejects.toThrow(ExportStopped)
    await expect(exporting).rejects.toThrow(/export again/)
    await expect(importCounters(stores, given(lines), { fingerprint: undefined, now: NOW })).rejects.toThrow(
      /is cut off/,
    )
  })

  test('is whole if repositories were merged before it', async () => {
    await create('z', 3)
    await merge('z', 'a')
    const lines: string[] = []
    await linesWith(lines, async () => Promise.resolve())
    expect(lines.filter((line) => line.includes('"registry":"a"'))).toHaveLength(3)
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ kind: 'end', lines: { repository: 3 } })
  })
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { ImportError } from '../../src/counters/export-lines.js'
import { importCounters, type ImportOptions } from '../../src/counters/import-counters.js'
import { NOW } from '../servers/clock.js'
import { counted } from '../servers/counting.js'
import { noise } from '../servers/noise.js'
import { denseOf } from '../servers/sketches.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const HEADING = '{"kind":"tallyman-counters","version":1}'
const OPTIONS: ImportOptions = { fingerprint: undefined, now: NOW }

async function* given(...lines: string[]): AsyncGenerator<string> {
  for (const line of lines) yield Promise.resolve(line)
}

const tally = (fields: object): string =>
  JSON.stringify({ kind: 'tally', name: 'a', day: '2026-11-21', value: 1, ...fields })
const sketch = (fields: object): string =>
  JSON.stringify({
    ...{ kind: 'sketch', key: '{hll_counters}_a-2026-47', seconds: 1 },
    bytes: Buffer.from(denseOf(() => 1)).toString('base64'),
    ...fields,
  })
const repository = (fields: object): string =>
  JSON.stringify({
    ...{ kind: 'repository', registry: 'registry.example', name: 'team/app', first_at: '2026-11-21T12:00:00.000000Z' },
    ...{ first_event: '10000000-0000-4000-8000-000000000001', if_first: [], if_known: [], ...fields },
  })
const unresolved = (fields: object): string =>
  JSON.stringify({ kind: 'unresolved_user', name: 'alice', event: 'a', day: '2026-11-21', ...fields })
const bytesOf = (rank: number): string => Buffer.from(denseOf(() => rank)).toString('base64')

/** A line that no export has, and what is wrong with it. */
const IMPOSSIBLE: [string, string, RegExp][] = [
  [
    'a rank that no hash has',
    sketch({ bytes: bytesOf(63) }),
    /a register has the rank 63, and no hash has one above 51/,
  ],
  ['a rank just above', sketch({ bytes: bytesOf(52) }), /a register has the rank 52/],
  ['members beyond counting', sketch({ bytes: bytesOf(51) }), /its registers give more members than can be counted/],
  ['bytes that are not base64', sketch({ bytes: `${bytesOf(1)}!` }), /bytes: is not base64/],
  ['a week that no year has', sketch({ key: '{hll_counters}_a-2026-54' }), /key: is not one of Tallyman's/],
  ['week 0', sketch({ key: '{hll_counters}_a-2026-00' }), /key: is not one/],
  ['month 13', sketch({ key: '{hll_counters}_a-2026-M13' }), /key: is not one/],
  ['a week of the future', sketch({ key: '{hll_counters}_a-2027-47' }), /key: is in the future/],
  [
    'a lifetime without an end',
    sketch({ seconds: Number.MAX_SAFE_INTEGER }),
    /seconds: is not a whole number from 1 to/,
  ],
  ['a lifetime of nothing', sketch({ seconds: 0 }), /seconds: is not a whole number from 1 to/],
  ['less than nothing', tally({ value: -1 }), /value: is not a whole number from 0 to 9007199254740991/],
  ['a half', tally({ value: 0.5 }), /value: is not a whole number/],
  ['more than 2^53', tally({ value: 2 ** 53 }), /value: is not a whole number/],
  ['no number', tally({ value: null }), /value: is not a whole number/],
  ['infinity', tally({}).replace('"value":1', '"value":1e999'), /value: is not a whole number/],
  ['a day of the future', tally({ day: '2026-11-24' }), /day: is in the future/],
  ['the year 9999', tally({ day: '9999-12-31' }), /day: is in the future/],
  ['the year 0', tally({ day: '0000-01-01' }), /day: is not a day like/],
  ['a day before 1970', tally({ day: '1969-12-31' }), /day: is not a day like/],
  ['February 30th', tally({ day: '2026-02-30' }), /day: is not a day like/],
  ['a name of 3 MB', tally({ name: 'x'.repeat(3_000_000) }), /name: is longer than 2500 bytes/],
  ['a name with a control character', tally({ name: 'a\u001b[31m' }), /name: is not the name of a total/],
  ['no name', tally({ name: '' }), /name: is not the name of a total/],
  ['a registry that is no host', repository({ registry: '<script>' }), /registry: is not the name of a registry/],
  ['a path that is no repository', repository({ name: '../x' }), /name: is not the name of a repository/],
  ['a first event in the future', repository({ first_at: '2027-01-01T00:00:00Z' }), /first_at: is in the future/],
  [
    'an offset that PostgreSQL lacks',
    repository({ first_at: '2026-11-21T12:00:00+23:00' }),
    /first_at: is not a timestamp/,
  ],
  ['an id that is none', repository({ first_event: 'x' }), /first_event: /],
  [
    'an event that is none',
    repository({ if_first: [{ event: 'A b', member: '1' }] }),
    /if_first.0.event: is not the name of an event/,
  ],
  ['a member of 3 MB', repository({ if_known: [{ event: 'a', member: 'x'.repeat(3_000_000) }] }), /member: is longer/],
  ['too many members', repository({ if_known: new Array(10_001).fill({ event: 'a', member: '1' }) }), /if_known: /],
  ['a user without an event', unresolved({ event: '?' }), /event: /],
  [
    'a user whose name, with an event, is too long for an index',
    unresolved({ name: noise(2_600, 'name'), event: 'a'.repeat(128) }),
    /name: is longer than 2500 bytes/,
  ],
  ['a name that is no text', unresolved({ name: '\ud800' }), /name: contains characters that are not text/],
  ['a kind of 3 MB', JSON.stringify({ kind: 'x'.repeat(3_000_000) }), /"x{80}…" is an unknown kind/],
]

describe.each(STORE_PAIRS)('on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  test.each(IMPOSSIBLE)('%s is refused with its line, and is not stored', async (_name, line, message) => {
    const before = await counted(stores)
    const attempt = importCounters(stores, given(HEADING, line), OPTIONS)
    await expect(attempt).rejects.toThrow(ImportError)
    const { message: sentence } = (await attempt.catch((error: unknown) => error)) as Error
    expect(sentence).toMatch(/^line 2: /)
    expect(sentence).toMatch(message)
    expect(sentence.length).toBeLessThan(300)
    expect(await counted(stores)).toEqual(before)
  })

  test('the longest user and event are stored', async () => {
    const line = unresolved({
      name: noise(2_500, 'name'),
      event: 'a' + noise(127, 'event').toLowerCase().replaceAll('-', '_'),
    })
    const end = '{"kind":"end","lines":{"sketch":0,"tally":0,"repository":0,"unresolved_user":1}}'
    await importCounters(stores, given(HEADING, line, end), OPTIONS)
    const { rows } = await sql`select length(name) as name, length(event) as event from unresolved_users`.execute(
      stores.database.sql,
    )
    expect(rows).toEqual([{ name: 2_500, event: 128 }])
  })

  test('a row that comes twice is merged, as it is from two exports', async () => {
    const lines = [
      tally({ value: 2 }),
      tally({ value: 7 }),
      tally({ value: 3 }),
      repository({}),
      repository({}),
      unresolved({}),
      unresolved({}),
    ]
    const end = '{"kind":"end","lines":{"sketch":0,"tally":3,"repository":2,"unresolved_user":2}}'
    await importCounters(stores, given(HEADING, ...lines, end), OPTIONS)
    const { rows } = await sql<{ value: string }>`select value from tallies where name = 'a'`.execute(
      stores.database.sql,
    )
    expect(rows.map(({ value }) => Number(value))).toEqual([7])
  })

  test('what the database refuses all the same is a sentence with its line', async () => {
    const { sql: db } = stores.database
    await sql`alter table unresolved_users add constraint refused check (name <> 'alice')`.execute(db)
    const end = '{"kind":"end","lines":{"sketch":0,"tally":0,"repository":0,"unresolved_user":1}}'
    const attempt = importCounters(stores, given(HEADING, unresolved({}), end), OPTIONS)
    const sentence = /^a line of the kind unresolved_user up to line 3: the database refuses it \(/
    try {
      await expect(attempt).rejects.toThrow(sentence)
    } finally {
      await sql`alter table unresolved_users drop constraint refused`.execute(db)
    }
  })
})

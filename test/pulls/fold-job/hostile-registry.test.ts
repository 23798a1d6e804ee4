import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { isoTime } from '../../../src/events/calendar.js'
import type { Digest, Tag } from '../../../src/events/reference.js'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { eachRegistry, startingAfterLast } from '../../../src/pulls/fold-job/each-registry.js'
import { createProvisionalFold } from '../../../src/pulls/provisional/fold-provisional.js'
import { foldPending } from '../../../src/pulls/fold-job/fold-pending.js'
import { rollUp } from '../../../src/pulls/roll-up/roll-up.js'
import { summarizePulls } from '../../../src/pulls/roll-up/summarize.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { keepOutcomes, OUTCOME } from '../../servers/outcomes.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const START = Date.parse('2026-11-18T10:00:00Z')
const MINUTE = 60_000
/** The largest size that installations may have stored. */
const HUGE = Number.MAX_SAFE_INTEGER
/** Registries are folded in this order; the hostile one is neither first nor last. */
const REGISTRIES = ['a.example', 'hostile.example', 'z.example'] as const
const OTHERS = ['a.example', 'z.example']

const digest = (name: number): Digest => `sha256:${name.toString(16).padStart(64, '0')}` as Digest

describe.each(STORE_PAIRS)('a hostile registry on %s', (_, open) => {
  let stores: TestStores
  let id = 0
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const run = async (statement: string): Promise<unknown[]> =>
    (await sql.raw(statement).execute(stores.database.sql)).rows
  const pull = (registry: string, more: Partial<RegistryEvent> = {}): RegistryEvent => ({
    ...anEvent({ id: ++id, action: 'pull', at: new Date(START + id).toISOString(), repository: 'a', method: 'GET' }),
    ...{ registry, object: 'manifest', tag: 'latest' as Tag, digest: digest(1), address: '192.0.2.1', ...more },
  })
  const blobs = (count: number, address: string): RegistryEvent[] =>
    Array.from({ length: count }, (_one, i) => {
      const event = pull('hostile.example', { object: 'blob', digest: digest(i + 10), size: HUGE, address })
      delete event.tag
      return event
    })
  const ingest = async (events: readonly RegistryEvent[]): Promise<unknown> =>
    createCounting(stores).ingest([...events])
  const fold = async (minutes: number): Promise<void> =>
    foldPending({
      ...{ database: stores.database, windows: WINDOWS, lateness: 300_000_000 },
      now: () => new Date(START + minutes * MINUTE),
      onFolded: async () => Promise.resolve(),
    })
  const settle = async (): Promise<void> => {
    await fold(1)
    await fold(30)
  }
  const createProvisional = (): (() => Promise<void>) =>
    createProvisionalFold({
      ...{ database: stores.database, windows: WINDOWS, holder: 'test' },
      now: () => new Date(START + MINUTE),
    })
  const registriesIn = async (table: string): Promise<unknown[]> =>
    (await run(`select distinct registry from ${table} order by 1`)).map(
      (row) => (row as { registry: string }).registry,
    )

  test('whose sizes exceed 2^63 has its pulls folded, rolled up and summarized', async () => {
    await ingest([...blobs(1_100, '192.0.2.1'), ...blobs(1_100, '192.0.2.2'), pull('z.example')])
    await createProvisional()()
    expect(await registriesIn('provisional.outcomes')).toEqual(['hostile.example', 'z.example'])
    await settle()
    expect(await run(`select bytes from pulls.outcomes where what = 'orphan'`)).toEqual([
      { bytes: String(HUGE) },
      { bytes: String(HUGE) },
    ])
  })

  test('whose stored sizes exceed 2^63 on a day or in a month has its days rolled up and summarized', async () => {
    const outcomes = Array.from({ length: 2_200 }, (_one, i) => ({
      ...{ ...OUTCOME, id: String(i), origin: `o${i}`, registry: 'hostile.example', bytes: HUGE },
      // A month that is over, on two days.
      at: isoTime((Date.parse(i % 2 === 0 ? '2026-09-30T00:00:00Z' : '2026-09-29T00:00:00Z') + i) * 1_000),
    }))
    await keepOutcomes(stores.database, outcomes)
    await run(`insert into pulls.registries (registry, folded_to) values ('hostile.example', '2026-10-03')`)
    await rollUp({ database: stores.database, windows: WINDOWS })
    await summarizePulls(stores.database)
    expect(await run(`select distinct bytes > 1e18 as huge from pulls.days`)).toEqual([{ huge: true }])
    expect(await run(`select grain, max(bytes) > 1e18 as huge from pulls.summaries group by 1 order by 1`)).toEqual([
      { grain: 'day', huge: true },
      { grain: 'month', huge: true },
    ])
  })

  describe('whose work fails', () => {
    /** Makes a table refuse the rows of the hostile registry. */
    const refusing = async (table: string, work: () => Promise<void>): Promise<unknown> => {
      await run(`alter table ${table} add constraint refused check (registry <> 'hostile.example') not valid`)
      try {
        return await work().then(
          () => undefined,
          (error: unknown) => error,
        )
      } finally {
        await run(`alter table ${table} drop constraint refused`)
      }
    }
    /** The messages of an error, and of the errors that it contains. */
    const namesIn = (error: unknown): string => {
      const { message, errors = [] } = error as { message: string; errors?: unknown[] }
      return [message, ...errors.map(namesIn)].join()
    }

    test('in the fold is skipped, and reported at the end', async () => {
      await ingest(REGISTRIES.map((registry) => pull(registry)))
      await fold(1)
      const error = await refusing('pulls.outcomes', async () => fold(30))
      expect(namesIn(error)).toMatch(/^[^.]*the pulls of hostile\.example were skipped$/)
      expect(await registriesIn('pulls.outcomes')).toEqual(OTHERS)
      await fold(31)
      expect(await registriesIn('pulls.outcomes')).toEqual(REGISTRIES)
    })

    test('in the provisional fold is shown as pending, and reported at the end', async () => {
      await ingest(REGISTRIES.map((registry) => pull(registry)))
      const foldNew = createProvisional()
      const error = await refusing('provisional.outcomes', foldNew)
      expect(namesIn(error)).toMatch(/^[^.]*the pulls of hostile\.example were skipped$/)
      expect(await registriesIn('provisional.outcomes')).toEqual(OTHERS)
      expect(await registriesIn('provisional.hidden')).toEqual(['hostile.example'])
      // The next run folds the new requests of all registries.
      await ingest(REGISTRIES.map((registry) => pull(registry, { address: '192.0.2.9' })))
      await foldNew()
      expect(await registriesIn('provisional.outcomes')).toEqual(REGISTRIES)
      expect(await registriesIn('provisional.hidden')).toEqual(['hostile.example'])
    })

    const roll = async (): Promise<void> => rollUp({ database: stores.database, windows: WINDOWS })
    test.each([
      ['the roll-up', 'pulls.days', roll],
      ['the summary', 'pulls.summaries', async (): Promise<void> => summarizePulls(stores.database)],
    ])('in %s is skipped, and reported at the end', async (_what, table, work) => {
      const outcomes = REGISTRIES.map((registry, i) => ({
        ...{ ...OUTCOME, id: String(i), origin: 'o', registry },
        at: isoTime(START * 1_000),
      }))
      await keepOutcomes(stores.database, outcomes)
      await run(`insert into pulls.registries (registry, folded_to)
        select registry, '2026-11-20' from unnest('{${REGISTRIES.join()}}'::text[]) as of (registry)`)
      if (work !== roll) await roll()
      const error = await refusing(table, work)
      expect(namesIn(error)).toContain('hostile.example')
      expect(namesIn(error)).not.toMatch(/[az]\.example/)
      expect(await registriesIn(table)).toEqual(OTHERS)
      await work()
      expect(await registriesIn(table)).toEqual(REGISTRIES)
    })
  })
})

describe('work for each registry', () => {
  const items = REGISTRIES.map((registry) => ({ registry }))

  test.each([
    ['the database is unavailable', Object.assign(new Error('away'), { code: 'ECONNREFUSED' })],
    ['the database stops', Object.assign(new Error('away'), { code: '57P01' })],
    ['another process interfered', Object.assign(new Error('conflict'), { code: '40001' })],
  ])('ends at once if %s', async (_what, failure) => {
    const done: string[] = []
    const work = eachRegistry(items, async ({ registry }) => {
      done.push(registry)
      return Promise.reject(failure)
    })
    await expect(work).rejects.toBe(failure)
    expect(done).toEqual(['a.example'])
  })

  test.each([
    ['the database cancels its statement', Object.assign(new Error('cancelled'), { code: '57014' })],
    ['the driver does not wait for its answer any more', new Error('Query read timeout')],
    ['one of its parts is too slow', new AggregateError([new Error('x', { cause: new Error('Query read timeout') })])],
  ])('leaves out one registry if %s', async (_what, failure) => {
    const done: string[] = []
    const work = eachRegistry(items, async ({ registry }) => {
      done.push(registry)
      return registry === 'hostile.example' ? Promise.reject(failure) : undefined
    })
    await expect(work).rejects.toMatchObject({
      errors: [{ message: 'the pulls of hostile.example were skipped', cause: failure }],
    })
    expect(done).toEqual(REGISTRIES)
  })

  test('begins each run with another registry', () => {
    const turns = {}
    const runs = [1, 2, 3, 4].map(() => startingAfterLast(items, turns).map(({ registry }) => registry))
    expect(runs.map(([first]) => first)).toEqual([...REGISTRIES, 'a.example'])
    for (const run of runs) expect(run.sort()).toEqual(REGISTRIES)
    expect(startingAfterLast([], turns)).toEqual([])
  })
})

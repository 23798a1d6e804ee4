import { monitorEventLoopDelay } from 'node:perf_hooks'
import { sql, type RawBuilder } from 'kysely'
import { summarizePulls } from '../src/pulls/roll-up/summarize.js'
import { parsePullsQuery } from '../src/pulls/query/parameters.js'
import { queryPulls } from '../src/pulls/query/query-pulls.js'
import { addDays } from '../src/pulls/model/period.js'
import type { Database } from '../src/storage/sql/database.js'
import { migrate } from '../src/schema/migrate.js'
import { openPostgres, withoutTimeLimit } from '../src/storage/sql/postgres.js'
import { DAYS, fillDays, FULL, LAST_DAY, REGISTRY } from './pulls-days-data.js'
import { percentile, sampleOf, type Row } from './sample.js'

const NOW = new Date(Date.parse(LAST_DAY) + 86_400_000 + 3_600_000)
const SERIES_MS = 50
const YEAR_MS = 1_000
const MEASURES = 'pulls,checks,unique_origins,unique_endpoints'

type Asked = { measured: string; parameters: Record<string, string>[]; most?: number; bare: RawBuilder<unknown> }

const last = (days: number): { since: string; until: string } => ({
  since: addDays(LAST_DAY, 1 - days),
  until: LAST_DAY,
})
const repository = (number: number): string => `team/app-${number}`

/** The bare sum of what a question reads, without its sketches. */
const sumOf = (dimension: string, where: RawBuilder<unknown>): RawBuilder<unknown> => sql`
  select value, sum(pulls), sum(invocations - pulls) from pulls.summaries
  where registry = ${REGISTRY} and dimension = ${dimension} and ${where} group by value`

const QUESTIONS: Asked[] = [
  {
    measured: '30 days of the most popular repository',
    parameters: [{ group_by: 'day', repository: repository(0), ...last(30) }],
    most: SERIES_MS,
    bare: sumOf('repository', sql`value = ${repository(0)} and grain = 'day' and start > ${addDays(LAST_DAY, -30)}`),
  },
  {
    measured: '30 days of one of other repositories',
    parameters: [1, 7, 70, 300, 999].map((one) => ({ group_by: 'day', repository: repository(one), ...last(30) })),
    most: SERIES_MS,
    bare: sumOf('repository', sql`value = ${repository(7)} and grain = 'day' and start > ${addDays(LAST_DAY, -30)}`),
  },
  {
    measured: 'all repositories by country, a calendar year',
    parameters: [{ group_by: 'country', period: '2025' }],
    most: YEAR_MS,
    bare: sumOf('country', sql`grain = 'month' and start >= '2025-01-01' and start < '2026-01-01'`),
  },
  {
    measured: 'all repositories by country, the last 365 days',
    parameters: [{ group_by: 'country', ...last(365) }],
    most: YEAR_MS,
    bare: sumOf('country', sql`grain = 'day' and start > ${addDays(LAST_DAY, -365)}`),
  },
  {
    measured: 'a calendar year by repository',
    parameters: [{ group_by: 'repository', period: '2025' }],
    bare: sumOf('repository', sql`grain = 'month' and start >= '2025-01-01' and start < '2026-01-01'`),
  },
  {
    measured: 'two years by month',
    parameters: [{ group_by: 'month', ...last(DAYS) }],
    most: YEAR_MS,
    bare: sumOf('all', sql`grain = 'month'`),
  },
  {
    measured: 'one repository by country, 28 days, from pulls.days',
    parameters: [7, 70, 300].map((one) => ({ group_by: 'country', repository: repository(one), ...last(28) })),
    bare: sql`select country, sum(pulls), sum(invocations - pulls) from pulls.days
      where registry = ${REGISTRY} and repository = ${repository(7)} and day > ${addDays(LAST_DAY, -28)} group by country`,
  },
  {
    measured: 'the most popular repository by country, 28 days, from pulls.days',
    parameters: [{ group_by: 'country', repository: repository(0), ...last(28) }],
    bare: sql`select country, sum(pulls), sum(invocations - pulls) from pulls.days
      where registry = ${REGISTRY} and repository = ${repository(0)} and day > ${addDays(LAST_DAY, -28)} group by country`,
  },
]

/**
 * Asks two years of pulls of a thousand repositories, a hundred million invocations.
 * @param url of a database that is empty, and filled first; or that was filled by an earlier run.
 * @param part of the full size to fill an empty database with.
 */
export const benchPullsDays = async (url: string, { times, part }: { times: number; part: number }): Promise<Row[]> => {
  await withoutTimeLimit(url, migrate)
  await fillOnce(url, part)
  const database = openPostgres(url)
  try {
    return [...(await sizes(database)), ...(await summarized(database)), ...(await questions(database, times))]
  } finally {
    await database.close()
  }
}

const fillOnce = async (url: string, part: number): Promise<void> =>
  withoutTimeLimit(url, async (db) => {
    const { rows } = await sql`select from pulls.registries`.execute(db)
    if (rows.length > 0) return
    await fillDays(db, { ...FULL, rowsPerDay: Math.round(FULL.rowsPerDay * part) }, (line) => {
      console.error(`  ${line}`)
    })
    await sql`checkpoint`.execute(db)
  })

const row = (measured: string, unit: string, ...values: number[]): Row => ({ measured, unit, sample: sampleOf(values) })

const sizes = async ({ jobs }: Database): Promise<Row[]> => {
  const { rows } = await sql<{ rows: string; invocations: string; bytes: string }>`
    select count(*) as rows, sum(invocations) as invocations, pg_total_relation_size('pulls.days') as bytes from pulls.days
  `.execute(jobs)
  const [{ rows: count, invocations, bytes } = { rows: 0, invocations: 0, bytes: 0 }] = rows
  return [
    row('rows of pulls.days', 'rows', Number(count)),
    row('invocations in them', 'invocations', Number(invocations)),
    row('pulls.days with its indexes', 'MiB', Number(bytes) / 2 ** 20),
  ]
}

/** Runs the real job, where an earlier run has not. */
const summarized = async (database: Database): Promise<Row[]> => {
  const before = await daysSummarized(database)
  const start = performance.now()
  const watched = await watching(async () => summarizePulls(database))
  const seconds = (performance.now() - start) / 1_000
  await sql`vacuum analyze pulls.summaries`.execute(database.jobs)
  const { rows } = await sql<{ grain: string; count: string; bytes: string }>`
    select grain, count(*), pg_total_relation_size('pulls.summaries') as bytes
    from pulls.summaries group by grain order by grain
  `.execute(database.jobs)
  const days = (await daysSummarized(database)) - before
  return [
    ...rows.map(({ grain, count }) => row(`rows of pulls.summaries of a ${grain}`, 'rows', Number(count))),
    row('pulls.summaries with its indexes', 'MiB', Number(rows[0]?.bytes) / 2 ** 20),
    ...(days === 0
      ? []
      : [
          {
            ...row('days summarized, with their months', 'days/s', days / seconds),
            note: `${days} days in ${seconds.toFixed(0)} s`,
          },
          { ...row('summarizing: others in the process wait, 999 of 1,000', 'ms', watched.wait), target: { most: 20 } },
          {
            ...row('summarizing: highest resident memory', 'MiB', watched.peak),
            note: `${watched.before.toFixed(0)} before`,
          },
        ]),
  ]
}

const daysSummarized = async ({ jobs }: Database): Promise<number> => {
  const { rows } = await sql<{
    days: string
  }>`select count(*) as days from pulls.summarized where grain = 'day'`.execute(jobs)
  return Number(rows[0]?.days)
}

const questions = async (database: Database, times: number): Promise<Row[]> => {
  const rows: Row[] = []
  const measure = async (): Promise<void> => {
    for (const { measured, parameters, most, bare } of QUESTIONS) {
      await timesOf(database, parameters, parameters.length * 2)
      const [taken, limits] = [await timesOf(database, parameters, times), await timesOfBare(database, bare, times / 4)]
      const { median, times: count } = sampleOf(taken)
      const p95 = percentile(taken, 0.95)
      const limit = sampleOf(limits.map((one) => p95 / one))
      rows.push({
        measured: `${measured}: p95`,
        unit: 'ms',
        sample: { median: p95, least: Math.min(...taken), most: Math.max(...taken), times: count },
        ...(most !== undefined && { target: { most } }),
        limit: { what: 'times the bare sum of the same rows', ratio: limit },
        note: `half of them under ${median.toFixed(1)} ms`,
      })
    }
  }
  const watched = await watching(measure)
  const again = await watching(async () => {
    for (const { parameters } of QUESTIONS) await timesOf(database, parameters, times / 4)
  })
  return [
    ...rows,
    {
      ...row('questions: others in the process wait, 999 of 1,000', 'ms', watched.wait),
      target: { most: 20 },
      note: `at most ${watched.longest.toFixed(0)} ms`,
    },
    { ...row('questions: highest resident memory', 'MiB', watched.peak), note: `${watched.before.toFixed(0)} before` },
    {
      ...row('the same questions again: growth of the highest', 'MiB', again.peak - watched.peak),
      target: { most: 20 },
      note: `${again.after.toFixed(0)} after`,
    },
  ]
}

const timesOf = async ({ sql: db }: Database, parameters: Asked['parameters'], times: number): Promise<number[]> => {
  const taken: number[] = []
  for (let i = 0; i < times; i++) {
    const asked = parsePullsQuery({ measures: MEASURES, limit: '1000', ...parameters[i % parameters.length] }, NOW)
    const start = performance.now()
    const { rows } = await queryPulls(db, asked, { rotation: 'never', stamps: {} })
    taken.push(performance.now() - start)
    if (rows.length < 2 || !rows.every((one) => (one.unique_origins ?? 0) > 0 || one.pulls === 0))
      throw new Error(`nothing was answered to ${JSON.stringify(asked)}`)
  }
  return taken
}

const timesOfBare = async ({ sql: db }: Database, bare: RawBuilder<unknown>, times: number): Promise<number[]> => {
  const taken: number[] = []
  for (let i = 0; i < times; i++) {
    const start = performance.now()
    await bare.execute(db)
    taken.push(performance.now() - start)
  }
  return taken
}

const mebibytes = (): number => process.memoryUsage.rss() / 2 ** 20

/** What else the process has of work that goes on: its memory, and how long others wait. */
const watching = async (
  work: () => Promise<unknown>,
): Promise<{ before: number; peak: number; after: number; wait: number; longest: number }> => {
  const before = mebibytes()
  let peak = before
  const sampling = setInterval(() => {
    peak = Math.max(peak, mebibytes())
  }, 20)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  try {
    await work()
  } finally {
    delay.disable()
    clearInterval(sampling)
  }
  return { before, peak, after: mebibytes(), wait: delay.percentile(99.9) / 1e6, longest: delay.max / 1e6 }
}

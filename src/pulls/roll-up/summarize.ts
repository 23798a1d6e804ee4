import { sql, type RawBuilder } from 'kysely'
import { eachAlone } from '../../storage/each-alone.js'
import type { Database, Sql } from '../../storage/sql/database.js'
import { jobStep } from '../../storage/sql/retried-transaction.js'
import { inSteps, ROWS_AT_ONCE } from '../../storage/sql/batched.js'
import { IN_SUMMARIES } from '../model/dimensions.js'
import { addDays, addMonths } from '../model/period.js'
import { concernsAll, eachRegistry } from '../fold-job/each-registry.js'
import { runSummaryStep } from './erase-summaries.js'
import { beginRead, byPages, isUnchanged, type SourceRead } from './summary-pages.js'
import { writeSummaries, type Summary } from './summary-rows.js'
import { byCursor, sourcesOf, type SummarySource } from './summary-source.js'

type GrainStart = { registry: string; start: string }

/**
 * Summarizes rolled-up days, and months whose days are all summarized, unless they are summarized already (docs/decisions/0013). A
 * repetition gives the same rows.
 * @throws AggregateError at the end, of the days and months that failed; the others were summarized
 */
export const summarizePulls = async ({ jobs, engine }: Pick<Database, 'jobs' | 'engine'>): Promise<void> => {
  // A transaction would occupy the only session of the embedded database.
  const summarizeOne = engine === 'pglite' ? inShortSteps : inOneTransaction
  await eachAlone(
    ['day', 'month'] as const,
    async (grain) => {
      await jobStep({ sql: jobs }, async (tx) => markEmpty(tx, grain))
      const { rows } = await LEFT[grain].execute(jobs)
      // Without statistics, each page of a month would read and sort all of the month.
      if (grain === 'month' && engine === 'pglite' && rows.length > 0) await ANALYZE.execute(jobs)
      await eachRegistry(rows, async (grainStart) => summarizeOne(jobs, { grain, ...grainStart }))
    },
    concernsAll,
  )
}

/** All rolled-up days of each registry from its first row on, including days without rows. */
const DAYS = `
  select r.registry, series.at::date as day
  from pulls.registries r
    cross join lateral (select min(d.day) as day from pulls.days d where d.registry = r.registry) first
    cross join lateral generate_series(first.day::timestamp, (r.rolled_to - 1)::timestamp, interval '1 day') series (at)
  where isfinite(r.rolled_to)`

// Set operations, because thousands of single look-ups would take long.
const DAYS_LEFT = sql<GrainStart>`
  select registry, day::text as start from (
    ${sql.raw(DAYS)} except select registry, start from pulls.summarized where grain = 'day'
  ) d order by registry, day`

/** The month of the first row of a registry counts as complete, even if the row is not on its first day. */
const MONTHS_LEFT = sql<GrainStart>`
  select registry, start::text from (
    select registry, date_trunc('month', day::timestamp)::date as start from (${sql.raw(DAYS)}) d
    group by 1, 2 having max(day) = (date_trunc('month', max(day)::timestamp) + interval '1 month - 1 day')::date
    except select registry, start from pulls.summarized where grain = 'month'
    except select registry, date_trunc('month', start::timestamp)::date from (${DAYS_LEFT}) d
  ) m order by registry, start`

const LEFT = { day: DAYS_LEFT, month: MONTHS_LEFT }

/** The embedded database has no autovacuum, which would collect statistics. */
const ANALYZE = sql`analyze pulls.summaries (registry, dimension, value, grain, start)`

/** A lock that conflicts with writers of marks, but with no reader: an erasure or a move removes marks either before or after. */
export const LOCK_SUMMARIES = sql`lock table pulls.summarized in share row exclusive mode`

/**
 * Marks all days or months without pulls in one statement: a registry with one old event has thousands of them. Deletes the summaries
 * that an erasure left for them.
 */
const markEmpty = async (tx: Sql, grain: Summary['grain']): Promise<void> => {
  await LOCK_SUMMARIES.execute(tx)
  await sql`
    with marked as (
      insert into pulls.summarized (registry, grain, start)
      select l.registry, ${grain}, l.start::date from (${LEFT[grain]}) l
      where not exists (
        select from pulls.days o where o.registry = l.registry
          and o.day >= l.start::date and o.day < l.start::date + interval '1 ${sql.raw(grain)}'
      )
      on conflict do nothing returning registry, start
    )
    delete from pulls.summaries s using marked m
    where s.registry = m.registry and s.dimension = any(${IN_SUMMARIES}::text[]) and s.grain = ${grain}
      and s.start = m.start
  `.execute(tx)
}

const inOneTransaction = async (jobs: Database['jobs'], summary: Summary): Promise<void> =>
  jobStep({ sql: jobs }, async (tx) => {
    await LOCK_SUMMARIES.execute(tx)
    if (!(await mark(tx, summary))) return
    await deleteRows(tx, summary)
    for (const source of sourcesOf(summary))
      await writeSummaries(tx, summary, { ...source, batches: byCursor(tx, source) })
  })

/**
 * Summarizes in short statements, between which other work uses the database. Readers use only rows with a mark. The mark is written
 * last, and only if all rows that were read are unchanged.
 */
const inShortSteps = async (jobs: Database['jobs'], summary: Summary): Promise<void> =>
  runSummaryStep(async () => {
    if (await isKnown(jobs, summary)) return
    await deleteRows(jobs, summary)
    const all: [SummarySource, SourceRead][] = []
    for (const source of sourcesOf(summary)) {
      const read = await beginRead(jobs, source)
      all.push([source, read])
      await writeSummaries(jobs, summary, { ...source, batches: byPages(jobs, source, read) })
    }
    const isMarked = await jobStep({ sql: jobs }, async (tx) => {
      await LOCK_SUMMARIES.execute(tx)
      for (const [source, read] of all) if (!(await isUnchanged(tx, source, read))) return false
      return mark(tx, summary)
    })
    if (!isMarked) await deleteRows(jobs, summary)
  })

const isKnown = async (db: Sql, { registry, grain, start }: Summary): Promise<boolean> => {
  const { rows } = await sql`
    select from pulls.summarized where registry = ${registry} and grain = ${grain} and start = ${start}::date
  `.execute(db)
  return rows.length > 0
}

/**
 * Marks a summary, unless another process just marked it, its registry was removed, or a day of the month lost its mark.
 * @returns whether it was marked
 */
const mark = async (tx: Sql, { registry, grain, start }: Summary): Promise<boolean> => {
  const last = grain === 'day' ? start : addDays(addMonths(start, 1), -1)
  const { rows } = await sql`
    insert into pulls.summarized (registry, grain, start)
    select registry, ${grain}, ${start}::date from pulls.registries
    where registry = ${registry} and rolled_to > ${last}::date and ${grain === 'day' ? sql`true` : hasAllDays(registry, { start, last })}
    on conflict do nothing returning 1
  `.execute(tx)
  return rows.length > 0
}

/** Whether all days of a month are marked, from the first day of the registry on. */
const hasAllDays = (
  registry: string,
  { start, last }: { start: string; last: string },
): RawBuilder<unknown> => sql`not exists (
  select from generate_series(
    greatest(${start}::timestamp, (select min(day) from pulls.days where registry = ${registry})), ${last}::timestamp, interval '1 day'
  ) of (at) where not exists (
    select from pulls.summarized where registry = ${registry} and grain = 'day' and start = of.at::date
  )
)`

const deleteRows = async (db: Sql, { registry, grain, start }: Summary): Promise<void> => {
  await inSteps(
    db,
    sql`
      delete from pulls.summaries where ctid = any(array(
        select ctid from pulls.summaries
        where registry = ${registry} and dimension = any(${IN_SUMMARIES}::text[]) and grain = ${grain} and start = ${start}::date
        limit ${ROWS_AT_ONCE}
      ))
    `,
  )
}

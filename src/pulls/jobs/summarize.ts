import { sql, type RawBuilder } from 'kysely'
import { eachAlone } from '../../storage/each-alone.js'
import type { Database, Sql } from '../../storage/database.js'
import { jobStep } from '../../storage/job-step.js'
import { COUNTED_NUMBERS, COUNTED_SKETCHES } from '../read/counted.js'
import { ALL, dimension, IN_SUMMARIES, SUMMARIZED } from '../read/dimensions.js'
import { addMonths } from '../read/period.js'
import { concernsAll, eachRegistry } from './each-registry.js'
import { writeSummaries, type Summary } from './summary-rows.js'

type Stretch = { registry: string; start: string }

/**
 * Summarizes days that were rolled up, and months of which all days were summarized, as far as that was not done yet
 * (docs/decisions/0013). Doing it again ends in the same rows.
 * @throws AggregateError at the end, of the days and months that failed; the others were done
 */
export const summarizePulls = async ({ jobs }: Pick<Database, 'jobs'>): Promise<void> => {
  const grains = [
    { grain: 'day', left: DAYS_LEFT, summarizeOne: summarizeDay },
    { grain: 'month', left: MONTHS_LEFT, summarizeOne: summarizeMonth },
  ] as const
  await eachAlone(
    grains,
    async ({ grain, left, summarizeOne }) => {
      await jobStep({ sql: jobs }, async (tx) => markEmpty(tx, grain, left))
      const { rows } = await left.execute(jobs)
      await eachRegistry(rows, async (one) => jobStep({ sql: jobs }, async (tx) => summarizeOne(tx, one)))
    },
    concernsAll,
  )
}

/** All days of each registry from its first row on, also those without any. */
const DAYS = `
  select r.registry, series.at::date as day
  from pulls.registries r
    cross join lateral (select min(d.day) as day from pulls.days d where d.registry = r.registry) first
    cross join lateral generate_series(first.day::timestamp, (r.rolled_to - 1)::timestamp, interval '1 day') series (at)
  where isfinite(r.rolled_to)`

// Set operations: thousands of days are not to be looked for one by one.
const DAYS_LEFT = sql<Stretch>`
  select registry, day::text as start from (
    ${sql.raw(DAYS)} except select registry, start from pulls.summarized where grain = 'day'
  ) d order by registry, day`

/** A month that began before the first row of its registry is whole, too. */
const MONTHS_LEFT = sql<Stretch>`
  select registry, start::text from (
    select registry, date_trunc('month', day::timestamp)::date as start from (${sql.raw(DAYS)}) d
    group by 1, 2 having max(day) = (date_trunc('month', max(day)::timestamp) + interval '1 month - 1 day')::date
    except select registry, start from pulls.summarized where grain = 'month'
    except select registry, date_trunc('month', start::timestamp)::date from (${DAYS_LEFT}) d
  ) m order by registry, start`

/** What stands in the way of writers of marks, and of no reader: an erasure or a move tells its days after this, or before. */
export const LOCK_SUMMARIES = sql`lock table pulls.summarized in share row exclusive mode`

/**
 * Marks days or months in which there was nothing, all at once: of a registry that told of something long ago they are thousands.
 * What an erasure left of them goes.
 */
const markEmpty = async (tx: Sql, grain: Summary['grain'], left: RawBuilder<Stretch>): Promise<void> => {
  await LOCK_SUMMARIES.execute(tx)
  await sql`
    with marked as (
      insert into pulls.summarized (registry, grain, start)
      select l.registry, ${grain}, l.start::date from (${left}) l
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

const summarizeDay = async (tx: Sql, stretch: Stretch): Promise<void> =>
  anew(tx, { grain: 'day', ...stretch }, async (summary) => {
    const { registry, start } = summary
    const values = SUMMARIZED.map((name) => sql`${dimension(name).value(sql`o.day`)} as ${sql.ref(name)}`)
    const counted = [...COUNTED_NUMBERS, ...COUNTED_SKETCHES].map((name) => sql.ref(`o.${name}`))
    await writeSummaries(tx, summary, {
      from: sql`(
        select '' as ${sql.ref(ALL)}, ${sql.join([...values, ...counted])} from pulls.days o
        where o.registry = ${registry} and o.day = ${start}::date order by o.repository
      ) o`,
      dimensions: IN_SUMMARIES,
      ordered: 'repository',
      atOnce: 500,
    })
  })

const summarizeMonth = async (tx: Sql, stretch: Stretch): Promise<void> =>
  anew(tx, { grain: 'month', ...stretch }, async (summary) => {
    const { registry, start } = summary
    for (const name of IN_SUMMARIES) {
      await writeSummaries(tx, summary, {
        from: sql`(
          select o.*, o.value as ${sql.ref(name)} from pulls.summaries o
          where o.registry = ${registry} and o.dimension = ${name} and o.grain = 'day'
            and o.start >= ${start}::date and o.start < ${addMonths(start, 1)}::date
          order by o.value
        ) o`,
        dimensions: [name],
        ordered: name,
        atOnce: 50,
      })
    }
  })

/** Writes a summary and marks it, unless another process just did. */
const anew = async (tx: Sql, summary: Summary, work: (summary: Summary) => Promise<void>): Promise<void> => {
  const { registry, grain, start } = summary
  await LOCK_SUMMARIES.execute(tx)
  const { rows: known } = await sql`
    insert into pulls.summarized (registry, grain, start) values (${registry}, ${grain}, ${start}::date)
    on conflict do nothing returning 1
  `.execute(tx)
  if (known.length === 0) return
  await sql`
    delete from pulls.summaries
    where registry = ${registry} and dimension = any(${IN_SUMMARIES}::text[]) and grain = ${grain}
      and start = ${start}::date
  `.execute(tx)
  await work(summary)
}

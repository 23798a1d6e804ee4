import { sql, type RawBuilder } from 'kysely'
import { MICROS_PER_SECOND, type Micros } from '../../events/calendar.js'
import type { Database, Sql } from '../../storage/sql/database.js'
import { jobStep } from '../../storage/sql/retried-transaction.js'
import { createStepSizes } from '../../storage/sql/step-sizes.js'
import { MAX_INVOCATION, longestBlobs } from '../fold/state.js'
import type { JoinWindows } from '../model/join-windows.js'
import { eachRegistry } from '../fold-job/each-registry.js'
import { endOf, repositoryDay, startOf } from './repository-day.js'
import { rollUpDay } from './roll-up-day.js'
import { lockDays } from './rolling-days.js'

type RollUpDeps = {
  database: Database
  windows: JoinWindows
  /** All registries if undefined. */
  registries?: readonly string[]
  /** Limits for a large repository: outcomes that are read at once, and the weight of origins in memory (see RollUpDayDeps). */
  sizes?: { most: number; remembered?: number }
}

/**
 * Outcomes of a portion, which adds rows of its own. The embedded database needs about one second for a portion, and does nothing else
 * meanwhile; PostgreSQL serves other queries.
 */
const SIZES: Record<Database['engine'], { most: number }> = {
  postgresql: { most: 500_000 },
  pglite: { most: 20_000 },
}

/**
 * Rolls up the days that are over: no later request can change an invocation that began on them. Days that are rolled up already are
 * skipped. The roll-up of a day is repeatable: it gives the same numbers.
 * @throws AggregateError at the end, of registries that failed: their roll-up stops at that day, and the next run retries it
 */
export const rollUp = async ({
  database,
  windows,
  registries,
  sizes = SIZES[database.engine],
}: RollUpDeps): Promise<void> => {
  const { jobs } = database
  const deps = { jobs, ...sizes, stepSizes: createStepSizes() }
  await eachRegistry(await daysToRoll(jobs, windows, registries), async ({ registry, from, until }) => {
    for (let day = from; day < until;) {
      const repositories = await repositoriesOf(jobs, registry, day)
      const repositoryDays = repositories.map((repository) => repositoryDay(registry, repository, day))
      await eachRegistry(repositoryDays, async (of) => rollUpDay(deps, of))
      const days = { first: day, next: await nextDay(jobs, registry, { after: day, until }) }
      if (!(await jobStep({ sql: jobs }, async (tx) => setRolledTo(tx, registry, { ...days, windows })))) break
      day = days.next
    }
  })
}

/**
 * Marks days as rolled up: from now on answers read their rows. It does nothing if the rows differ from the outcomes, because an
 * outcome was moved from an alias or erased meanwhile, or if earlier requests arrived under an alias meanwhile; a later run rolls the
 * days up then. Each outcome is counted in exactly one of four numbers, so their sum is the number of outcomes.
 */
const setRolledTo = async (
  tx: Sql,
  registry: string,
  { windows, ...days }: { first: string; next: string; windows: JoinWindows },
): Promise<boolean> => {
  // Once answers read the rows of a day, no other process may start or resume its roll-up.
  await lockDays(tx)
  await sql`select from pulls.registries where registry = ${registry} for update`.execute(tx)
  await sql`
    delete from pulls.rolling_days
    where registry = ${registry} and day >= ${days.first}::date and day < ${days.next}::date
  `.execute(tx)
  const { rows } = await sql`
    update pulls.registries r set rolled_to = greatest(rolled_to, ${days.next}::date)
    where registry = ${registry} and ${firstOpenDay(windows)} >= ${days.next}::date and not exists (
      select repository, (at at time zone 'UTC')::date, count(*) from pulls.outcomes
      where registry = ${registry} and at >= ${startOf(days.first)}::timestamptz and at < ${startOf(days.next)}::timestamptz
      group by 1, 2
      except
      select repository, day, sum(invocations + artifact_fetches + orphan_blob_sessions + failed_requests)::bigint
      from pulls.days
      where registry = ${registry} and day >= ${days.first}::date and day < ${days.next}::date group by 1, 2
    )
    returning 1
  `.execute(tx)
  return rows.length > 0
}

/** How long after its begin an invocation can still change. */
export const settledAfter = (windows: JoinWindows): Micros =>
  Math.max(MAX_INVOCATION + Math.max(windows.join, windows.blobs), longestBlobs(windows))

/** The first day of a registry `r` that is not over yet: an invocation may still change, or a file may contain requests of the day. */
const firstOpenDay = (windows: JoinWindows): RawBuilder<unknown> => sql`least(
  ((r.folded_to - ${settledAfter(windows) / MICROS_PER_SECOND} * interval '1 second') at time zone 'UTC')::date,
  (select min(day) from pulls.segment_days d where d.registry = r.registry and not d.expired)
)`

/** For each registry the first day to roll up, and the first day that is not over yet. */
const daysToRoll = async (
  db: Sql,
  windows: JoinWindows,
  registries?: readonly string[],
): Promise<{ registry: string; from: string; until: string }[]> => {
  const { rows } = await sql<{ registry: string; from: string; until: string }>`
    select registry, first.day::text as from, until.day::text as until
    from pulls.registries r
      cross join lateral (
        select (min(at) at time zone 'UTC')::date as day from pulls.outcomes o
        where o.registry = r.registry
          and o.at >= case when isfinite(r.rolled_to) then r.rolled_to::timestamp at time zone 'UTC' else '-infinity' end
      ) first
      cross join lateral (select ${firstOpenDay(windows)} as day) until
    where isfinite(r.folded_to) and first.day < until.day
      ${registries ? sql`and registry = any(${registries}::text[])` : sql``}
    order by registry
  `.execute(db)
  return rows
}

/** The next day with an outcome, or `until`. It skips empty days, so that one old event does not cause a step for each day since. */
const nextDay = async (
  db: Sql,
  registry: string,
  { after, until }: { after: string; until: string },
): Promise<string> => {
  const { rows } = await sql<{ day: string | null }>`
    select (min(at) at time zone 'UTC')::date::text as day from pulls.outcomes
    where registry = ${registry} and at >= ${endOf(after)}::timestamptz and at < ${startOf(until)}::timestamptz
  `.execute(db)
  return rows[0]?.day ?? until
}

const repositoriesOf = async (db: Sql, registry: string, day: string): Promise<string[]> => {
  const { rows } = await sql<{ repository: string }>`
    select distinct repository from pulls.outcomes
    where registry = ${registry} and at >= ${startOf(day)}::timestamptz and at < ${endOf(day)}::timestamptz order by 1
  `.execute(db)
  return rows.map(({ repository }) => repository)
}

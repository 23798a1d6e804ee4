import { sql } from 'kysely'
import type { Database } from '../../storage/sql/database.js'
import { inSteps, ROWS_AT_ONCE } from '../../storage/sql/batched.js'
import { NEWEST_DAYS } from '../model/behaviour.js'

/**
 * Days that are not rolled up yet use the readings of the newest rolled-up days. Readings older than so many days are no longer used,
 * even if the registry was silent since.
 */
const LONGEST_READING_DAYS = 2 * NEWEST_DAYS

/** The first day that is not older than so many days. */
export const oldestDay = (days: number, now: Date): string =>
  new Date(now.getTime() - days * 86_400_000).toISOString().slice(0, 10)

/** Deletes the outcomes and readings of rolled-up days that are older than so many days. No number changes by it. */
export const expireOutcomes = async ({ jobs }: Pick<Database, 'jobs'>, days: number, now: Date): Promise<void> => {
  const oldest = oldestDay(days, now)
  const readFrom = sql`greatest(r.rolled_to - ${sql.lit(NEWEST_DAYS)}::int, ${oldestDay(LONGEST_READING_DAYS, now)}::date)`
  // First the border, from which answers read outcomes, then the rows before it.
  await sql`
    with locked as (
      select registry, least(rolled_to, ${oldest}::date) as border from pulls.registries
      where kept_from < least(rolled_to, ${oldest}::date) order by registry for update
    )
    update pulls.registries r set kept_from = locked.border from locked where r.registry = locked.registry
  `.execute(jobs)
  await inSteps(
    jobs,
    sql`
      delete from pulls.behaviours where ctid = any(array(
        select b.ctid from pulls.registries r
          join pulls.behaviours b on b.registry = r.registry and b.day < least(r.kept_from, ${readFrom})
        where isfinite(r.kept_from)
        limit ${ROWS_AT_ONCE}
      ))
    `,
  )
  await inSteps(
    jobs,
    sql`
      delete from pulls.outcomes where ctid = any(array(
        select o.ctid from pulls.registries r
          join pulls.outcomes o on o.registry = r.registry and o.at < r.kept_from::timestamp at time zone 'UTC'
        where isfinite(r.kept_from)
        limit ${ROWS_AT_ONCE}
      ))
    `,
  )
}

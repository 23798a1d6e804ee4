import { sql, type RawBuilder } from 'kysely'
import { isStorageUnavailable } from '../storage/unavailable.js'
import type { Database } from '../storage/sql/database.js'
import { eachAlone } from '../storage/each-alone.js'
import { inSteps, ROWS_AT_ONCE } from '../storage/sql/batched.js'

export type Retention = {
  /** Days for which a repeated delivery is recognised. */
  eventIdDays: number
  rejectedEventDays: number
  unresolvedUserDays: number
  /** The number of newest rejected events that are kept, so that a broken sender cannot fill the disk. */
  rejectedEvents: number
}

/** JSON paths in the contributions of a repository: contributions of resolved users, and members that are unresolved. */
const RESOLVED = '$[*] ? (!(@.member starts with "?"))'
const UNRESOLVED = '$[*].member ? (@ starts with "?")'

const DAY_MS = 86_400_000

/** Fewer rows than elsewhere: a sketch may have 12 kB. */
const SKETCHES_AT_ONCE = 1_000

/**
 * Deletes rows whose retention time is over, in small steps that block no writer. Rows with a time that the database wrote are
 * compared with the database's clock. So is `event_clocks`, which has times of the service: its rows live as long as `event_times`.
 * All other rows are compared with `now`.
 * @returns the number of rows that were deleted or changed
 * @throws AggregateError at the end, with the errors of all failed statements; at once if the database is unavailable
 */
export const deleteExpired = async ({ sql: db }: Database, retention: Retention, now: Date): Promise<number> => {
  const { eventIdDays, rejectedEventDays, rejectedEvents, unresolvedUserDays } = retention
  const daysAgo = (days: number): string => new Date(now.getTime() - days * DAY_MS).toISOString()
  const unresolvedFrom = daysAgo(unresolvedUserDays).slice(0, 10)
  const statements = [
    deleteSome('event_ids', sql`seen_on < current_date - ${eventIdDays}::int`),
    deleteSome('event_times', sql`seen_on < current_date - ${eventIdDays}::int`),
    deleteSome('event_clocks', sql`greatest(floor_at, ahead_until) < now() - ${eventIdDays} * interval '1 day'`),
    deleteSome('rejected_events', sql`received_at < now() - ${rejectedEventDays} * interval '1 day'`),
    sql`
      delete from rejected_events where ctid = any(array(
        select ctid from rejected_events order by received_at desc offset ${rejectedEvents} limit ${ROWS_AT_ONCE}
      ))
    `,
    // A name in clear text is deleted when the weekly sketches that would count its user expire.
    deleteSome('unresolved_users', sql`day < ${unresolvedFrom}::date`),
    sql`
      update repositories
      set if_first = jsonb_path_query_array(if_first, ${RESOLVED}::jsonpath),
          if_known = jsonb_path_query_array(if_known, ${RESOLVED}::jsonpath)
      where (registry, name) in (
        select registry, name from repositories
        where first_at < ${`${unresolvedFrom}T00:00:00Z`}::timestamptz
          and (jsonb_path_exists(if_first, ${UNRESOLVED}::jsonpath) or jsonb_path_exists(if_known, ${UNRESOLVED}::jsonpath))
        limit ${ROWS_AT_ONCE}
      )
    `,
    deleteSome('sketches', sql`expires_at < now()`, SKETCHES_AT_ONCE),
    deleteSome('leases', sql`until < now() - interval '1 day'`),
  ]
  let removed = 0
  const removeBy = async (statement: RawBuilder<unknown>): Promise<void> => {
    removed += await inSteps(db, statement)
  }
  await eachAlone(statements, removeBy, isStorageUnavailable)
  return removed
}

/** If another process changes a row meanwhile, PostgreSQL checks the outer condition for the new version of the row. */
const deleteSome = (table: string, isOld: RawBuilder<unknown>, atOnce = ROWS_AT_ONCE): RawBuilder<unknown> => sql`
  delete from ${sql.table(table)} where ctid = any(array(
    select ctid from ${sql.table(table)} where ${isOld} limit ${atOnce}
  )) and ${isOld}
`

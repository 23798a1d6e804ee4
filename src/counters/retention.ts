import { sql } from 'kysely'
import type { Database } from '../storage/database.js'
import { inSteps, ROWS_AT_ONCE } from '../storage/in-steps.js'

export type Retention = {
  /** How long a repeated delivery is recognised. */
  eventIdDays: number
  rejectedEventDays: number
  unresolvedUserDays: number
  /** Newest rejected events kept, so that a broken sender cannot fill the disk. */
  rejectedEvents: number
  receptionDays: number
  /** Registries heard of last that are kept, since clients choose the names of registries. */
  receptions: number
}

/** In the contributions of a repository: those of people whose id was told, and the mark of those that were not. */
const RESOLVED = '$[*] ? (!(@.member starts with "?"))'
const UNRESOLVED = '$[*].member ? (@ starts with "?")'

const DAY_MS = 86_400_000

/**
 * Removes what is older than its time, in small steps that block no writer. Rows whose time the database wrote are compared
 * with the database's clock, and so is `event_clocks`, which has times of the service: its rows live as long as `event_times`.
 * All others are compared with `now`.
 * @returns rows removed or changed.
 */
export const forgetOld = async ({ sql: db }: Database, retention: Retention, now: Date): Promise<number> => {
  const { eventIdDays, rejectedEventDays, rejectedEvents, unresolvedUserDays, receptionDays, receptions } = retention
  const daysAgo = (days: number): string => new Date(now.getTime() - days * DAY_MS).toISOString()
  const unresolvedFrom = daysAgo(unresolvedUserDays).slice(0, 10)
  const statements = [
    sql`
      delete from event_ids where ctid = any(array(
        select ctid from event_ids where seen_on < current_date - ${eventIdDays}::int limit ${ROWS_AT_ONCE}
      ))
    `,
    sql`
      delete from event_times where ctid = any(array(
        select ctid from event_times where seen_on < current_date - ${eventIdDays}::int limit ${ROWS_AT_ONCE}
      ))
    `,
    sql`
      delete from event_clocks where ctid = any(array(
        select ctid from event_clocks
        where greatest(floor_at, ahead_until) < now() - ${eventIdDays} * interval '1 day' limit ${ROWS_AT_ONCE}
      ))
    `,
    sql`
      delete from rejected_events
      where received_at < now() - ${rejectedEventDays} * interval '1 day'
        or received_at <= (select received_at from rejected_events order by received_at desc offset ${rejectedEvents} limit 1)
    `,
    // A name in clear is kept no longer than the weekly sketches that its bearer would be counted in.
    sql`delete from unresolved_users where day < ${unresolvedFrom}::date`,
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
    sql`
      delete from receptions where registry in (
        select registry from receptions where last_received_at < ${daysAgo(receptionDays)}::timestamptz
        union (select registry from receptions order by last_received_at desc, registry offset ${receptions})
        limit ${ROWS_AT_ONCE}
      )
    `,
    sql`delete from sketches where expires_at < now()`,
    sql`delete from leases where until < now() - interval '1 day'`,
  ]
  let removed = 0
  for (const statement of statements) removed += await inSteps(db, statement)
  return removed
}

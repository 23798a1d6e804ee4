import { sql, type RawBuilder } from 'kysely'
import { SET_ASIDE_ANYWHERE } from '../../events/set-aside.js'
import type { Sql } from '../../storage/sql/database.js'
import { isoText } from '../../storage/sql/moments.js'
import { withSetAsideEvents, type Undecided } from '../model/undecided.js'
import type { QueryParameters } from './question.js'
import { isSelected } from './sql-parts.js'

/** The largest number of repositories that notes name. */
const MOST_NAMED = 3
const WHERE_TO_SEE = '"tallyman status" has the reasons, and the table rejected_events has the events'

/** Notes about the repositories of a query that the answer leaves out because of set-aside events; none if there are none. */
export const setAsideNotes = async (db: Sql, query: QueryParameters, undecided: Undecided): Promise<string[]> => {
  const { rows } = await sql<{ name: string; at: string; reason: string; is_change: boolean; all: number }>`
    select x.registry || '/' || x.name as name, ${isoText(sql`s.arrived_at`)} as at, s.reason, s.changed_at is not null as is_change,
      (count(*) over ())::int as all
    from inventory.repositories x join inventory.set_aside_events s on s.registry = x.registry and s.name = x.name
    where x.id = any(array${withSetAsideEvents(undecided, (id) => isSelected(id, query))})
    order by x.id limit ${MOST_NAMED}
  `.execute(db)
  const more = (rows[0]?.all ?? 0) - rows.length
  return [
    ...rows.map(
      ({ name, at, reason, is_change: isChange }) =>
        `an event of ${name} that arrived at ${at} was set aside (${reason}): it may be about any manifest or blob, so this answer leaves out the repository; correct the cause (${WHERE_TO_SEE})${isChange && undecided.isOfTags ? ', then run "tallyman inventory reconcile --apply"' : ''}`,
    ),
    ...(more > 0 ? [`the same is true of ${more} more repositories`] : []),
  ]
}

/**
 * A note about set-aside events that may be about any repository. The answer leaves nothing out because of them: otherwise one stray
 * delivery would empty all lists.
 */
export const setAsideAnywhereNotes = async (
  db: Sql,
  query: QueryParameters,
  undecided: Undecided,
): Promise<string[]> => {
  const { rows } = await sql<{ count: string; since: string | null }>`
    select coalesce(sum(value), 0) as count, min(day)::text as since from tallies
    where name = ${SET_ASIDE_ANYWHERE} and day >= ${oldestDay(query, undecided)}
  `.execute(db)
  const [{ count, since } = { count: '0', since: null }] = rows
  if (since === null) return []
  return [
    `events of an unknown repository or registry were set aside (${count} since ${since}): if they were about objects in this answer, these may be in use; ${WHERE_TO_SEE}`,
  ]
}

/** The first UTC day of which the events matter. Pushes matter since the oldest reconciliation of the repositories of the query. */
const oldestDay = (query: QueryParameters, { since, isOfTags }: Undecided): RawBuilder<unknown> => {
  const reconciled = sql`(
    select min(coalesce(x.reconciled_at, '-infinity')) from inventory.repositories x
    where coalesce(x.deleted_at < x.last_seen_at, true) and ${isSelected(sql`x.id`, query)}
  )`
  return sql`(least(${since}::timestamptz, ${isOfTags ? reconciled : sql`null`}) at time zone 'UTC')::date`
}

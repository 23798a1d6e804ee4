import { sql, type RawBuilder } from 'kysely'
import { dimensionsOf, type PullsQuery } from './parameters.js'
import { NEWEST_DAYS } from '../model/behaviour.js'
import { dimension } from '../model/dimensions.js'
import type { RowExpressions } from './filters.js'

/** Settled outcomes: only pending requests can change them. */
export const SETTLED_OUTCOMES = sql`pulls.outcomes`

/**
 * The table of outcomes that a query needs, for the alias `o`. It contains the behaviour of origins only if the query uses it.
 * @param outcomes a table with the columns of pulls.outcomes
 */
export const outcomesTable = (
  query: Pick<PullsQuery, 'groupBy' | 'filters'>,
  outcomes: RawBuilder<unknown>,
): RawBuilder<unknown> =>
  dimensionsOf(query).some((name) => dimension(name).isReading) ? withReadings(outcomes) : outcomes

/** SQL expressions for the time and the dimensions of an outcome `o`. */
export const outcomeExpressions = ({ timeZone }: Pick<PullsQuery, 'timeZone'>): RowExpressions => {
  const local = sql`(o.at at time zone ${timeZone}::text)`
  return { local, value: (name) => dimension(name).value(local) }
}

/** The newest rolled-up days as a list, so that each is found by the key. */
const NEWEST = Array.from({ length: NEWEST_DAYS }, (_, i) => sql.raw(`r.rolled_to - ${i + 1}`))

/** Adds the reading of its day to each outcome; on a day that is not rolled up yet, the newest reading of its origin. */
const withReadings = (outcomes: RawBuilder<unknown>): RawBuilder<unknown> => sql`(
  select o.*, coalesce(own.behaviour, newest.behaviour, 'insufficient') as behaviour,
    coalesce(own.likely, newest.likely, 'unknown') as likely
  from ${outcomes} o
    left join pulls.registries r on r.registry = o.registry
    left join pulls.behaviours own on own.registry = o.registry and own.repository = o.repository
      and own.origin = o.origin and own.day = (o.at at time zone 'UTC')::date
    left join lateral (
      select b.behaviour, b.likely from pulls.behaviours b
      where b.registry = o.registry and b.repository = o.repository and b.origin = o.origin
        and (o.at at time zone 'UTC')::date >= r.rolled_to
        and b.day = any(array[${sql.join(NEWEST)}])
      order by b.day desc limit 1
    ) newest on true
)`

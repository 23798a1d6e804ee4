import { sql, type RawBuilder } from 'kysely'
import { dateOf, isoTime, MICROS_PER_SECOND, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { epochMicros } from '../../storage/sql/moments.js'
import { PENDING_REGISTRIES } from '../requests/pending-registries.js'
import type { PullsQuery } from './parameters.js'
import { VISIBLE } from './current-outcomes.js'
import { conditionsOn, isAnyOf, momentsOf } from './filters.js'
import { minimumOf, wholeHours } from './minimum-group-size.js'
import type { PullsContext } from './notes.js'
import { outcomesTable, outcomeExpressions } from './outcomes-table.js'
import { localDay } from '../model/period.js'

/** The part of an answer that may still change. */
export type Provisional = {
  /** Numbers before this time (UTC) are settled. It covers all pulls of the registries, whatever the other filters are. */
  since: string
  /** Unsettled pulls and checks in the answer; left out if a minimum number of origins is set. */
  invocations?: number
  pulls?: number
}

type ProvisionalQuery = Pick<PullsQuery, 'groupBy' | 'filters' | 'period' | 'timeZone' | 'queriedAt'>

/**
 * The provisional part of an answer; undefined if all numbers are settled. `since` does not depend on existing pulls, because a
 * request that has yet to arrive may increase numbers.
 */
export const provisionalIn = async (
  tx: Sql,
  query: ProvisionalQuery,
  context: Pick<PullsContext, 'minimumGroupSize' | 'lateness'>,
): Promise<Provisional | undefined> => {
  const since = await settledEnd(tx, query, context)
  if (since === undefined) return undefined
  return { since: isoTime(since), ...(minimumOf(context) === undefined && (await unsettledIn(tx, query))) }
}

/**
 * The time up to which all registries of a query are settled; undefined if the period ends earlier. A registry with pending requests
 * is settled up to the end of its fold. For a registry without, requests of the last `lateness` may still arrive; that is reported
 * only if the period is over, because its numbers look final then.
 */
const settledEnd = async (
  tx: Sql,
  { filters, period, timeZone, queriedAt }: ProvisionalQuery,
  { minimumGroupSize, lateness = 0 }: Pick<PullsContext, 'minimumGroupSize' | 'lateness'>,
): Promise<Micros | undefined> => {
  const { from, to } = momentsOf(period, timeZone)
  const now = queriedAt === undefined ? sql`now()` : sql`${isoTime(queriedAt)}::timestamptz`
  const wanted = filters.filter(({ dimension }) => dimension === 'registry')
  const isWanted = wanted.map(({ values }) => sql` and ${isAnyOf(sql`named.registry`, values)}`)
  const { rows } = await sql<{ since: string | null }>`
    with ends as (
      select coalesce(r.folded_to, '-infinity') as folded_to, exists (
        select from pulls.pending p
        where p.registry = named.registry and p.at > coalesce(r.folded_to, '-infinity') and p.at <= ${now}
      ) as is_pending
      from (select registry from pulls.registries union select registry from ${PENDING_REGISTRIES} pending) named
        left join pulls.registries r on r.registry = named.registry
      where true ${sql.join(isWanted, sql``)}
    ), settled as (
      select case when is_pending then folded_to
        else greatest(folded_to, ${now} - ${lateness / MICROS_PER_SECOND} * interval '1 second') end as at
      from ends where is_pending or ${to} <= ${now}
    )
    select ${epochMicros(sql`min(greatest(${wholeHours({ minimumGroupSize }, sql`at`)}, ${from}))`)}::text as since
    from settled where at < ${to}
  `.execute(tx)
  const since = rows[0]?.since ?? null
  return since === null ? undefined : Number(since)
}

const unsettledIn = async (tx: Sql, query: ProvisionalQuery): Promise<{ invocations: number; pulls: number }> => {
  const { from, to } = momentsOf(query.period, query.timeZone)
  const conditions: RawBuilder<unknown>[] = conditionsOn(outcomeExpressions(query), query, query.period)
  const { rows } = await sql<{ invocations: string; pulls: string }>`
    select count(*) filter (where o.what = 'invocation') as invocations,
      count(*) filter (where o.what = 'invocation' and o.gets > 0) as pulls
    from ${outcomesTable(query, VISIBLE)} o
    where ${sql.join([sql`o.at >= ${from}`, sql`o.at < ${to}`, ...conditions], sql` and `)}
  `.execute(tx)
  return { invocations: Number(rows[0]?.invocations ?? 0), pulls: Number(rows[0]?.pulls ?? 0) }
}

/** Notes on the provisional part of an answer. */
export const provisionalNotes = (
  provisional: Provisional | undefined,
  { period, timeZone }: Pick<PullsQuery, 'period' | 'timeZone'>,
  { lateness }: { lateness?: Micros },
): string[] => {
  if (!provisional) return []
  const seconds = lateness === undefined ? undefined : lateness / MICROS_PER_SECOND
  // On a new installation, for example, no number is settled.
  const isAll = localDay(new Date(Date.parse(provisional.since) - 1), timeZone) < period.from
  const what = isAll ? 'All numbers' : `Numbers since ${provisional.since}`
  const why = isAll
    ? `no time of this period is settled for every registry${seconds === undefined ? '' : `, and requests may arrive up to ${seconds} s late`}`
    : seconds === undefined
      ? undefined
      : `requests of the last ${seconds} s may still arrive`
  const { pulls = 0 } = provisional
  return [
    `${what} are provisional${why === undefined ? '' : `: ${why}`}.`,
    ...(pulls > 0 ? [`Unsettled pulls in this answer: ${pulls.toLocaleString('en-US')}.`] : []),
  ]
}

/** A note on an answer without numbers for a number of days: these end yesterday, so the pulls of today are not included. */
export const todayNotes = ({
  period,
  timeZone,
  queriedAt,
}: Pick<PullsQuery, 'period' | 'timeZone' | 'queriedAt'>): string[] =>
  period.isDays === true && queriedAt !== undefined && period.to === localDay(dateOf(queriedAt), timeZone)
    ? ['This period does not include today: use --period today (period=today).']
    : []

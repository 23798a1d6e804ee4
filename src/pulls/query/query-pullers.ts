import { sql, type Kysely, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { inOneSnapshot } from './in-one-snapshot.js'
import { currentOutcomes } from './current-outcomes.js'
import { parsePullsQuery, PullsError, reportedPeriod, type PullsQuery, type ReportedPeriod } from './parameters.js'
import { conditionsOn, momentsOf } from './filters.js'
import { minimumOf, singleOriginsNote } from './minimum-group-size.js'
import { notesOn, type PullsContext } from './notes.js'
import { outcomesTable, outcomeExpressions } from './outcomes-table.js'
import { provisionalIn, provisionalNotes, type Provisional } from './provisional.js'
import { refuseUnknownTimeZone } from './time-zone.js'
import { unmatchedNotes } from './unmatched-notes.js'

/** Kinds of clients that pull automatically, not because a person or a machine needs the image now. */
const AUTOMATIC = ['updater', 'scanner', 'mirror']

type Puller = { origin: string; client: string; kind: string; pulls: number; share: number }

export type PullersAnswer = {
  period: ReportedPeriod
  /** The numbers of all pullers are left out if there are fewer pullers than pulls_least_pullers. */
  pulls?: number
  pullers?: number
  /** The median number of pulls of a puller. */
  median_pulls?: number
  mean_pulls?: number
  /** The pullers with the most pulls. */
  top: Puller[]
  /** The share of `top` in all pulls, from 0 to 1. */
  top_share?: number
  without_top?: { pulls: number; pullers: number }
  /** Without updaters, scanners and mirrors. */
  without_automatic?: { pulls: number; pullers: number; kinds: string[] }
  /** The part of the answer that may still change; undefined if all numbers are settled. */
  provisional?: Provisional
  /** Sentences that qualify the numbers. */
  notes: string[]
}

type Row = Record<'pulls' | 'pullers' | 'median' | 'people_pulls' | 'people', string | null>

/** Parameters that a query about pullers lacks: it always groups by puller and counts pulls. */
const OF_PULLS_ONLY = ['measures', 'group_by', 'compare', 'limit']

/**
 * Parses a query about pullers: a period and filters.
 * @throws PullsError
 */
export const parsePullersQuery = (parameters: Readonly<Record<string, unknown>>, now: Date): PullsQuery => {
  const other = OF_PULLS_ONLY.find((name) => name in parameters)
  if (other !== undefined) throw new PullsError(`${other}: is not a parameter of pullers`)
  return parsePullsQuery(parameters, now)
}

/**
 * The distribution of pulls over pullers: two machines may cause most of a total. Pulls are counted by origin from single
 * invocations, and so only as far back as these are stored.
 * @param top how many pullers to list
 */
export const queryPullers = async (
  db: Kysely<unknown>,
  query: PullsQuery,
  top: number,
  context: PullsContext,
): Promise<PullersAnswer> => {
  await refuseUnknownTimeZone(db, query.timeZone)
  return inOneSnapshot(db, async (tx) => pullersIn(tx, query, top, context))
}

const pullersIn = async (tx: Sql, query: PullsQuery, top: number, context: PullsContext): Promise<PullersAnswer> => {
  const each = pullsOfEach(query, await currentOutcomes(tx))
  const [all, most, since, provisional] = [
    await sql<Row>`
      select coalesce(sum(pulls), 0) as pulls, count(*) as pullers,
        percentile_cont(0.5) within group (order by pulls) as median,
        coalesce(sum(pulls) filter (where kind <> all(${AUTOMATIC}::text[])), 0) as people_pulls,
        count(*) filter (where kind <> all(${AUTOMATIC}::text[])) as people
      from (${each}) e
    `.execute(tx),
    await sql<{ origin: string; client: string; kind: string; pulls: string }>`
      select origin, client, kind, pulls from (${each}) e order by pulls desc, origin limit ${top}
    `.execute(tx),
    await keptSince(tx, query),
    await provisionalIn(tx, query, context),
  ]
  const [row] = all.rows
  const [pulls, pullers] = [Number(row?.pulls ?? 0), Number(row?.pullers ?? 0)]
  const named = most.rows.map((one) => ({ ...one, pulls: Number(one.pulls), share: shareOf(Number(one.pulls), pulls) }))
  const topPulls = named.reduce((sum, one) => sum + one.pulls, 0)
  const people = { pulls: Number(row?.people_pulls ?? 0), pullers: Number(row?.people ?? 0) }
  const minimum = minimumOf(context)
  const unmatched = pullers === 0 && minimum === undefined ? await unmatchedNotes(tx, query.filters) : []
  /** Both a group and the remainder must reach the minimum: a difference of two numbers must not reveal a small group. */
  const isReportable = (some: number): boolean =>
    minimum === undefined || (some >= minimum && isZeroOrEnough(minimum, pullers - some))
  return {
    period: reportedPeriod(query),
    ...(isReportable(pullers) && {
      ...{ pulls, pullers, median_pulls: Number(row?.median ?? 0), mean_pulls: shareOf(pulls, pullers) },
      ...(isReportable(named.length) && {
        top_share: shareOf(topPulls, pulls),
        without_top: { pulls: pulls - topPulls, pullers: pullers - named.length },
      }),
      ...(isReportable(people.pullers) && { without_automatic: { ...people, kinds: AUTOMATIC } }),
    }),
    top: minimum === undefined ? named : [],
    ...(provisional && { provisional }),
    notes: [
      ...notesOn({ ...query, measures: ['unique_origins'] }, context),
      ...provisionalNotes(provisional, query, context),
      ...(since === undefined
        ? []
        : [`Single invocations are stored since ${since}: these numbers do not include older ones.`]),
      ...(minimum === undefined ? [] : [singleOriginsNote(context)]),
      ...unmatched,
    ],
  }
}

/** The first UTC day of which all single invocations are stored; undefined if the period begins later. */
const keptSince = async (db: Sql, { period, timeZone }: PullsQuery): Promise<string | undefined> => {
  const { rows } = await sql<{ day: string | null }>`
    select max(kept_from)::text as day from pulls.registries
    where isfinite(kept_from) and kept_from::timestamp at time zone 'UTC' > ${momentsOf(period, timeZone).from}
  `.execute(db)
  return rows[0]?.day ?? undefined
}

const isZeroOrEnough = (minimum: number, some: number): boolean => some === 0 || some >= minimum

const shareOf = (some: number, all: number): number => (all === 0 ? 0 : some / all)

const pullsOfEach = (query: PullsQuery, outcomes: RawBuilder<unknown>): RawBuilder<unknown> => {
  const { from, to } = momentsOf(query.period, query.timeZone)
  const conditions = conditionsOn(outcomeExpressions(query), query, query.period)
  const wanted = [sql`o.what = 'invocation' and o.gets > 0`, sql`o.at >= ${from}`, sql`o.at < ${to}`, ...conditions]
  return sql`
    select o.origin, min(o.client) as client, min(o.kind) as kind, count(*) as pulls
    from ${outcomesTable(query, outcomes)} o where ${sql.join(wanted, sql` and `)} group by o.origin`
}

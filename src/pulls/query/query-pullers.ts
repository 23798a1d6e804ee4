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

/** Kinds of clients that pull because they were told to once, not because somebody wants the image now. */
const AUTOMATIC = ['updater', 'scanner', 'mirror']

type Puller = { origin: string; client: string; kind: string; pulls: number; share: number }

export type PullersAnswer = {
  period: ReportedPeriod
  /** What is told of all pullers is left out where they are fewer than pulls_least_pullers. */
  pulls?: number
  pullers?: number
  /** Pulls of the puller in the middle: half pull less, half pull more. */
  median_pulls?: number
  mean_pulls?: number
  /** Those who pull most. */
  top: Puller[]
  /** Their part of all pulls, from 0 to 1. */
  top_share?: number
  without_top?: { pulls: number; pullers: number }
  /** Without updaters, scanners and mirrors. */
  without_automatic?: { pulls: number; pullers: number; kinds: string[] }
  /** What of it may change yet, where anything may. */
  provisional?: Provisional
  /** What else is to be known of these numbers, in sentences. */
  notes: string[]
}

type Row = Record<'pulls' | 'pullers' | 'median' | 'people_pulls' | 'people', string | null>

/** What pullers cannot be asked by: they are what is grouped, and their pulls what is measured. */
const OF_PULLS_ONLY = ['measures', 'group_by', 'compare', 'limit']

/**
 * Reads a question about pullers: a period and filters.
 * @throws PullsError
 */
export const parsePullersQuery = (parameters: Readonly<Record<string, unknown>>, now: Date): PullsQuery => {
  const other = OF_PULLS_ONLY.find((name) => name in parameters)
  if (other !== undefined) throw new PullsError(`${other}: is not a parameter of pullers`)
  return parsePullsQuery(parameters, now)
}

/**
 * How pulls are spread over those who pull: a total alone may be the work of two machines. Counted by origin in single
 * invocations, as far back as these are kept.
 * @param top how many pullers to name.
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
  /** Of what is left out, too, nobody is to learn by taking it from the rest. */
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
        : [`Single invocations are kept since ${since}: what is older is not in these numbers.`]),
      ...(minimum === undefined ? [] : [singleOriginsNote(context)]),
      ...unmatched,
    ],
  }
}

/** The first UTC day of which all single invocations are kept, where a period reaches back beyond it. */
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

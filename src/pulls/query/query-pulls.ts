import type { Kysely, RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { dimensionsOf, reportedPeriod, type PullsQuery, type ReportedPeriod } from './parameters.js'
import { inOneSnapshot } from './in-one-snapshot.js'
import {
  previousOfGroups,
  previousOfTotal,
  isComparable,
  onlyGroups,
  type PreviousNumbers,
} from './compare-previous.js'
import { currentOutcomes } from './current-outcomes.js'
import { dimension, summaryFor, type DimensionName } from '../model/dimensions.js'
import { outcomesStart, planRanges, type RangeQuery } from './plan-ranges.js'
import { readGroups, type Group } from './read-groups.js'
import { readMergedGroups } from './merge-small-groups.js'
import { minimumOf, groupSizeNotes } from './minimum-group-size.js'
import { daysOnly, notesOn, type PullsContext } from './notes.js'
import { measure, type MeasureName } from '../model/measures.js'
import { SETTLED_OUTCOMES } from './outcomes-table.js'
import { addDays, periodBefore } from '../model/period.js'
import { provisionalIn, provisionalNotes, todayNotes, type Provisional } from './provisional.js'
import { refuseUnknownTimeZone } from './time-zone.js'
import { unmatchedNotes } from './unmatched-notes.js'
import { pendingNotes } from './pending-notes.js'
import { windowNotes } from './window-notes.js'

export type PullsRow = Partial<Record<DimensionName, string>> & Partial<Record<MeasureName, number>> & PreviousNumbers

export type PullsAnswer = {
  /** The columns of each row, in this order; present even if there are no rows. */
  columns: (DimensionName | MeasureName | keyof PreviousNumbers)[]
  rows: PullsRow[]
  /** The numbers of the whole period over all groups; empty if they come from too few origins. */
  total: PullsRow
  period: ReportedPeriod
  /** The numbers of the previous period, if the query compares. */
  previous?: { period: { since: string; until: string }; total: PullsRow }
  /** The numbers that may still change, because the requests are recent; undefined if all numbers are settled. */
  provisional?: Provisional
  /** The definition of each measure, and whether it was counted or estimated. */
  definitions: Record<string, { definition: string; made: 'counted' | 'estimated' }>
  /** Whether there are more groups than rows. */
  is_cut: boolean
  /** Sentences that qualify the numbers. */
  notes: string[]
}

/** Answers a query about pulls. All numbers come from one snapshot of the database. */
export const queryPulls = async (db: Kysely<unknown>, query: PullsQuery, given: PullsContext): Promise<PullsAnswer> => {
  const { measures, groupBy, period, limit } = query
  await refuseUnknownTimeZone(db, query.timeZone)
  const previousPeriod = periodBefore(period)
  const bothPeriods = query.compare ? { ...query, period: { ...period, from: previousPeriod.from } } : query
  const {
    groups,
    previousOf,
    total,
    isMerged,
    detailFrom: since,
    onWindows,
    onPending,
    provisional,
    previous,
    onUnmatched,
  } = await inOneSnapshot(db, async (tx) => {
    const isSettled = given.isSettledOnly === true
    const context: SnapshotContext = { ...given, outcomes: isSettled ? SETTLED_OUTCOMES : await currentOutcomes(tx) }
    const answer = await groupsAndTotal(tx, query, context)
    const previous = query.compare ? await withoutGroups(tx, { ...query, period: previousPeriod }, context) : undefined
    return {
      ...answer,
      onUnmatched: hasNumbers(answer) ? [] : [...todayNotes(query), ...(await unmatchedNotes(tx, query.filters))],
      onWindows: await windowNotes(tx, bothPeriods),
      onPending: await pendingNotes(tx, query, given),
      provisional: isSettled ? undefined : await provisionalIn(tx, query, context),
      previous,
      ...(isComparable(query) && {
        previousOf:
          previous !== undefined && query.groupBy.length === 0
            ? () => previousOfTotal(previous.together)
            : await previousIn(tx, { ...query, period: previousPeriod }, { groups: answer.groups, context }),
      }),
    }
  })
  const periods = query.compare ? [period, previousPeriod] : [period]
  const totals = [total, ...(previous ? [previous.together] : [])]
  return {
    columns: [...groupBy, ...measures, ...(previousOf ? measures.map((name) => `previous_${name}` as const) : [])],
    rows: groups.slice(0, limit).map(({ names, numbers }) => ({ ...names, ...numbers, ...previousOf?.(names) })),
    total,
    period: reportedPeriod(query),
    ...(previous && {
      previous: {
        period: { since: previousPeriod.from, until: addDays(previousPeriod.to, -1) },
        total: previous.together,
      },
    }),
    ...(provisional && { provisional }),
    definitions: Object.fromEntries(
      measures.map((name) => [
        name,
        { definition: measure(name).definition, made: 'distinct' in measure(name) ? 'estimated' : 'counted' },
      ]),
    ),
    is_cut: groups.length > limit,
    notes: [
      ...new Set(periods.flatMap((one) => notesOn({ ...query, period: one }, given))),
      ...onWindows,
      ...daysOnly(query, previous?.detailFrom ?? since),
      ...provisionalNotes(provisional, query, given),
      ...onPending,
      ...groupSizeNotes(given, { isMerged, totals }),
      ...onUnmatched,
    ],
  }
}

/** Whether a number of an answer is above 0, or hidden because it comes from too few origins. */
const hasNumbers = ({ total }: { total: PullsRow }): boolean => {
  const numbers = Object.values(total)
  return numbers.length === 0 || numbers.some((number) => number !== 0)
}

/** The settings of an answer, and the table of outcomes that it reads. */
type SnapshotContext = PullsContext & { outcomes: RawBuilder<unknown> }

type GroupsResult = {
  groups: Group[]
  together: Group['numbers']
  isMerged: boolean
  /** The first day with single invocations, if the query needs more than UTC days and begins earlier. */
  detailFrom?: string
}

/** The total is the sum over all groups. If not all groups were read, it is read separately. */
const groupsAndTotal = async (
  tx: Sql,
  query: PullsQuery,
  context: SnapshotContext,
): Promise<Omit<GroupsResult, 'together'> & { total: PullsRow }> => {
  const { groups, together, ...rest } = await groupsIn(tx, query, context)
  const isAll = groups.length <= query.limit || minimumOf(context) !== undefined
  return { groups, total: isAll ? together : (await withoutGroups(tx, query, context)).together, ...rest }
}

/** The numbers of groups in the previous period. If small groups are merged, all groups are read, and some numbers stay unknown. */
const previousIn = async (
  tx: Sql,
  query: PullsQuery,
  { groups, context }: { groups: readonly Group[]; context: SnapshotContext },
): Promise<(names: Group['names']) => PreviousNumbers> => {
  const isAll = minimumOf(context) === undefined
  const previous = await groupsIn(tx, isAll ? onlyGroups(query, groups.slice(0, query.limit)) : query, context)
  return previousOfGroups(query, previous.groups, isAll)
}

const withoutGroups = async (tx: Sql, query: PullsQuery, context: SnapshotContext): Promise<GroupsResult> =>
  groupsIn(tx, { ...query, groupBy: [] }, context)

const groupsIn = async (tx: Sql, query: PullsQuery, context: SnapshotContext): Promise<GroupsResult> => {
  const { period } = query
  const names = dimensionsOf(query)
  const times = names.filter((name) => dimension(name).isTime)
  const summary = summaryFor(names)
  const isMonthly = times.every((name) => name === 'month') && period.weekday === undefined
  const wanted: RangeQuery = {
    period,
    timeZone: query.timeZone,
    byDay: isUtc(query.timeZone) && !names.includes('hour'),
    grain: summary === undefined ? undefined : isMonthly ? 'month' : 'day',
  }
  const plans = await planRanges(tx, wanted)
  const groupQuery = { query, period, summary, outcomes: context.outcomes }
  const minimum = minimumOf(context)
  const found =
    minimum === undefined
      ? { ...(await readGroups(tx, plans, groupQuery)), isMerged: false }
      : await readMergedGroups(tx, plans, groupQuery, minimum)
  const since = outcomesStart(plans, wanted)
  return { ...found, ...(since !== undefined && { detailFrom: since }) }
}

const isUtc = (timeZone: string): boolean => /^(?:Etc\/)?(?:UTC|GMT|Universal|Zulu)$/i.test(timeZone)

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
import { detailStart, planRanges, type RangeQuery } from './plan-ranges.js'
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
  /** What each row has, in this order, also where there is none. */
  columns: (DimensionName | MeasureName | keyof PreviousNumbers)[]
  rows: PullsRow[]
  /** Of the whole period, whatever the groups; without numbers where they are of too few pullers. */
  total: PullsRow
  period: ReportedPeriod
  /** What was in the period before, where that was asked for. */
  previous?: { period: { since: string; until: string }; total: PullsRow }
  /** What of it may change yet, where anything may: it was requested a moment ago. */
  provisional?: Provisional
  /** What each number is, and whether it was counted or estimated. */
  definitions: Record<string, { definition: string; made: 'counted' | 'estimated' }>
  /** Whether there are more groups than rows. */
  is_cut: boolean
  /** What else is to be known of these numbers, in sentences. */
  notes: string[]
}

/** Answers a question about pulls, all of it as of one moment. */
export const queryPulls = async (db: Kysely<unknown>, query: PullsQuery, given: PullsContext): Promise<PullsAnswer> => {
  const { measures, groupBy, period, limit } = query
  await refuseUnknownTimeZone(db, query.timeZone)
  const before = periodBefore(period)
  const whole = query.compare ? { ...query, period: { ...period, from: before.from } } : query
  const {
    groups,
    before: had,
    total,
    isMerged,
    detailFrom: since,
    windows,
    waiting,
    provisional,
    previous,
    unmatched,
  } = await inOneSnapshot(db, async (tx) => {
    const isSettled = given.isSettledOnly === true
    const context: SnapshotContext = { ...given, outcomes: isSettled ? SETTLED_OUTCOMES : await currentOutcomes(tx) }
    const answer = await groupsAndTotal(tx, query, context)
    const previous = query.compare ? await withoutGroups(tx, { ...query, period: before }, context) : undefined
    return {
      ...answer,
      unmatched: hasNumbers(answer) ? [] : [...todayNotes(query), ...(await unmatchedNotes(tx, query.filters))],
      windows: await windowNotes(tx, whole),
      waiting: await pendingNotes(tx, query, given),
      provisional: isSettled ? undefined : await provisionalIn(tx, query, context),
      previous,
      ...(isComparable(query) && {
        before:
          previous !== undefined && query.groupBy.length === 0
            ? () => previousOfTotal(previous.together)
            : await previousIn(tx, { ...query, period: before }, { groups: answer.groups, context }),
      }),
    }
  })
  const periods = query.compare ? [period, before] : [period]
  const totals = [total, ...(previous ? [previous.together] : [])]
  return {
    columns: [...groupBy, ...measures, ...(had ? measures.map((name) => `previous_${name}` as const) : [])],
    rows: groups.slice(0, limit).map(({ names, numbers }) => ({ ...names, ...numbers, ...had?.(names) })),
    total,
    period: reportedPeriod(query),
    ...(previous && {
      previous: { period: { since: before.from, until: addDays(before.to, -1) }, total: previous.together },
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
      ...windows,
      ...daysOnly(query, previous?.detailFrom ?? since),
      ...provisionalNotes(provisional, query, given),
      ...waiting,
      ...groupSizeNotes(given, { isMerged, totals }),
      ...unmatched,
    ],
  }
}

/** Whether a number of an answer is more than 0, or hidden because it is of too few pullers. */
const hasNumbers = ({ total }: { total: PullsRow }): boolean => {
  const numbers = Object.values(total)
  return numbers.length === 0 || numbers.some((number) => number !== 0)
}

/** What an answer depends on, and the table of outcomes that it reads. */
type SnapshotContext = PullsContext & { outcomes: RawBuilder<unknown> }

type GroupsResult = {
  groups: Group[]
  together: Group['numbers']
  isMerged: boolean
  /** The first day of which more is known than a day of UTC, where more was asked for. */
  detailFrom?: string
}

/** The total is what all groups have together; only where there are more of them than were read it is read for itself. */
const groupsAndTotal = async (
  tx: Sql,
  query: PullsQuery,
  context: SnapshotContext,
): Promise<Omit<GroupsResult, 'together'> & { total: PullsRow }> => {
  const { groups, together, ...rest } = await groupsIn(tx, query, context)
  const isAll = groups.length <= query.limit || minimumOf(context) !== undefined
  return { groups, total: isAll ? together : (await withoutGroups(tx, query, context)).together, ...rest }
}

/** What groups had in the period before: where small ones are together, all are looked at, and not all are told. */
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
  const since = detailStart(plans, wanted)
  return { ...found, ...(since !== undefined && { detailFrom: since }) }
}

const isUtc = (timeZone: string): boolean => /^(?:Etc\/)?(?:UTC|GMT|Universal|Zulu)$/i.test(timeZone)

import type { Kysely, RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { namesIn, toldPeriod, type Asked, type ToldPeriod } from './parameters.js'
import { atOneMoment } from './at-one-moment.js'
import { beforeOf, beforeOfAll, isComparable, onlyGroups, type Before } from './compare.js'
import { currentOutcomes } from './current-outcomes.js'
import { dimension, summaryFor, type DimensionName } from '../model/dimensions.js'
import { detailFrom, extentsOf, type Wanted } from './time-ranges.js'
import { groupsOf, type Group } from './groups.js'
import { largeGroupsOf } from './large-groups.js'
import { leastOf, tooFew } from './minimum-group-size.js'
import { daysOnly, notesOn, type Context } from './notes.js'
import { measure, type MeasureName } from '../model/measures.js'
import { SETTLED } from './outcomes.js'
import { addDays, periodBefore } from '../model/period.js'
import { provisionalIn, provisionalNotes, todayNotes, type Provisional } from './provisional.js'
import { refuseUnknownTimeZone } from './time-zone.js'
import { unmatchedNotes } from './unmatched.js'
import { waitingNotes } from './pending-note.js'
import { windowNotes } from './window-notes.js'

export type PullsRow = Partial<Record<DimensionName, string>> & Partial<Record<MeasureName, number>> & Before

export type PullsAnswer = {
  /** What each row has, in this order, also where there is none. */
  columns: (DimensionName | MeasureName | keyof Before)[]
  rows: PullsRow[]
  /** Of the whole period, whatever the groups; without numbers where they are of too few pullers. */
  total: PullsRow
  period: ToldPeriod
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
export const askPulls = async (db: Kysely<unknown>, asked: Asked, given: Context): Promise<PullsAnswer> => {
  const { measures, groupBy, period, limit } = asked
  await refuseUnknownTimeZone(db, asked.timeZone)
  const before = periodBefore(period)
  const whole = asked.compare ? { ...asked, period: { ...period, from: before.from } } : asked
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
  } = await atOneMoment(db, async (tx) => {
    const isSettled = given.isSettledOnly === true
    const context: On = { ...given, outcomes: isSettled ? SETTLED : await currentOutcomes(tx) }
    const answer = await answerOn(tx, asked, context)
    const previous = asked.compare ? await withoutGroups(tx, { ...asked, period: before }, context) : undefined
    return {
      ...answer,
      unmatched: hasNumbers(answer) ? [] : [...todayNotes(asked), ...(await unmatchedNotes(tx, asked.filters))],
      windows: await windowNotes(tx, whole),
      waiting: await waitingNotes(tx, asked, given),
      provisional: isSettled ? undefined : await provisionalIn(tx, asked, context),
      previous,
      ...(isComparable(asked) && {
        before:
          previous !== undefined && asked.groupBy.length === 0
            ? () => beforeOfAll(previous.together)
            : await beforeIn(tx, { ...asked, period: before }, { groups: answer.groups, context }),
      }),
    }
  })
  const periods = asked.compare ? [period, before] : [period]
  const totals = [total, ...(previous ? [previous.together] : [])]
  return {
    columns: [...groupBy, ...measures, ...(had ? measures.map((name) => `previous_${name}` as const) : [])],
    rows: groups.slice(0, limit).map(({ names, numbers }) => ({ ...names, ...numbers, ...had?.(names) })),
    total,
    period: toldPeriod(asked),
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
      ...new Set(periods.flatMap((one) => notesOn({ ...asked, period: one }, given))),
      ...windows,
      ...daysOnly(asked, previous?.detailFrom ?? since),
      ...provisionalNotes(provisional, asked, given),
      ...waiting,
      ...tooFew(given, { isMerged, totals }),
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
type On = Context & { outcomes: RawBuilder<unknown> }

type Answered = {
  groups: Group[]
  together: Group['numbers']
  isMerged: boolean
  /** The first day of which more is known than a day of UTC, where more was asked for. */
  detailFrom?: string
}

/** The total is what all groups have together; only where there are more of them than were read it is read for itself. */
const answerOn = async (
  tx: Sql,
  asked: Asked,
  context: On,
): Promise<Omit<Answered, 'together'> & { total: PullsRow }> => {
  const { groups, together, ...rest } = await groupsIn(tx, asked, context)
  const isAll = groups.length <= asked.limit || leastOf(context) !== undefined
  return { groups, total: isAll ? together : (await withoutGroups(tx, asked, context)).together, ...rest }
}

/** What groups had in the period before: where small ones are together, all are looked at, and not all are told. */
const beforeIn = async (
  tx: Sql,
  asked: Asked,
  { groups, context }: { groups: readonly Group[]; context: On },
): Promise<(names: Group['names']) => Before> => {
  const isAll = leastOf(context) === undefined
  const previous = await groupsIn(tx, isAll ? onlyGroups(asked, groups.slice(0, asked.limit)) : asked, context)
  return beforeOf(asked, previous.groups, isAll)
}

const withoutGroups = async (tx: Sql, asked: Asked, context: On): Promise<Answered> =>
  groupsIn(tx, { ...asked, groupBy: [] }, context)

const groupsIn = async (tx: Sql, asked: Asked, context: On): Promise<Answered> => {
  const { period } = asked
  const names = namesIn(asked)
  const times = names.filter((name) => dimension(name).isTime)
  const summary = summaryFor(names)
  const isMonthly = times.every((name) => name === 'month') && period.weekday === undefined
  const wanted: Wanted = {
    period,
    timeZone: asked.timeZone,
    byDay: isUtc(asked.timeZone) && !names.includes('hour'),
    grain: summary === undefined ? undefined : isMonthly ? 'month' : 'day',
  }
  const extents = await extentsOf(tx, wanted)
  const question = { asked, period, summary, outcomes: context.outcomes }
  const least = leastOf(context)
  const found =
    least === undefined
      ? { ...(await groupsOf(tx, extents, question)), isMerged: false }
      : await largeGroupsOf(tx, extents, question, least)
  const since = detailFrom(extents, wanted)
  return { ...found, ...(since !== undefined && { detailFrom: since }) }
}

const isUtc = (timeZone: string): boolean => /^(?:Etc\/)?(?:UTC|GMT|Universal|Zulu)$/i.test(timeZone)

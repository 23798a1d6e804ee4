import type { Kysely } from 'kysely'
import type { Sql } from '../../storage/database.js'
import type { Asked } from './asked.js'
import { dimension, summaryFor, type DimensionName } from './dimensions.js'
import { extentsOf } from './extents.js'
import { groupsOf, type Group } from './groups.js'
import { notesOn, type Context } from './notes.js'
import { measure, type MeasureName } from './measures.js'
import { addDays, periodBefore, type Period } from './period.js'

export type PullsRow = Partial<Record<DimensionName, string>> & Partial<Record<MeasureName, number>>

export type PullsAnswer = {
  rows: PullsRow[]
  /** Of the whole period, whatever the groups. */
  total: PullsRow
  /** First and last day, in the time zone. */
  period: { since: string; until: string; time_zone: string; weekday?: number }
  /** What was in the period before, where that was asked for. */
  previous?: { period: { since: string; until: string }; total: PullsRow }
  /** What each number is, and whether it was counted or estimated. */
  definitions: Record<string, { definition: string; made: 'counted' | 'estimated' }>
  /** Whether there are more groups than rows. */
  is_cut: boolean
  /** What else is to be known of these numbers, in sentences. */
  notes: string[]
}

/** Answers a question about pulls, all of it as of one moment. */
export const askPulls = async (db: Kysely<unknown>, asked: Asked, context: Context): Promise<PullsAnswer> => {
  const { measures, period, timeZone, limit } = asked
  const before = periodBefore(period)
  // Days move from table to table: each is to be found in one of them.
  const { rows, total, previous } = await db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (tx) => ({
      ...(await answerOn(tx, asked)),
      ...(asked.compare && { previous: await totalOf(tx, asked, before) }),
    }))
  return {
    rows: rows.slice(0, limit),
    total,
    period: {
      ...daysOf(period),
      time_zone: timeZone,
      ...(period.weekday !== undefined && { weekday: period.weekday }),
    },
    ...(previous && { previous: { period: daysOf(before), total: previous } }),
    definitions: Object.fromEntries(
      measures.map((name) => [
        name,
        { definition: measure(name).definition, made: 'distinct' in measure(name) ? 'estimated' : 'counted' },
      ]),
    ),
    is_cut: rows.length > limit,
    notes: notesOn(asked, context),
  }
}

const daysOf = ({ from, to }: Period): { since: string; until: string } => ({
  since: from,
  until: addDays(to, -1),
})

/** The total is what all groups have together; only where there are more of them than are wanted it is read for itself. */
const answerOn = async (tx: Sql, asked: Asked): Promise<{ rows: PullsRow[]; total: PullsRow }> => {
  const { groups, together } = await groupsIn(tx, asked, asked.period)
  const rows = groups.map(({ names, numbers }) => ({ ...names, ...numbers }))
  const isAll = groups.length <= asked.limit
  return { rows, total: isAll ? together : await totalOf(tx, asked, asked.period) }
}

const totalOf = async (tx: Sql, asked: Asked, period: Period): Promise<PullsRow> =>
  (await groupsIn(tx, { ...asked, groupBy: [] }, period)).together

const groupsIn = async (
  tx: Sql,
  asked: Asked,
  period: Period,
): Promise<{ groups: Group[]; together: Group['numbers'] }> => {
  const names = [...asked.groupBy, ...asked.filters.map((one) => one.dimension)]
  const times = names.filter((name) => dimension(name).isTime)
  const summary = summaryFor(names)
  const isMonthly = times.every((name) => name === 'month') && period.weekday === undefined
  const extents = await extentsOf(tx, {
    period,
    byDay: isUtc(asked.timeZone) && !names.includes('hour'),
    grain: summary === undefined ? undefined : isMonthly ? 'month' : 'day',
  })
  return groupsOf(tx, extents, { asked, period, summary })
}

const isUtc = (timeZone: string): boolean => /^(?:Etc\/)?(?:UTC|GMT|Universal|Zulu)$/i.test(timeZone)

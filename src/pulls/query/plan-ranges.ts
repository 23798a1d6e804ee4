import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { addDays, addMonths, localDay, type Period } from '../model/period.js'

/** A range of days: `from` is included, `to` is not. */
export type DayRange = { from: string; to: string }

/** The tables from which a period of a registry is read: each day comes from exactly one of them. */
export type RangePlan = {
  registry: string
  /** Read from `pulls.summaries`, by month and by day. */
  monthSummaries: DayRange[]
  daySummaries: DayRange[]
  /** Read from `pulls.days`. */
  rolledUpDays: DayRange[]
  /** The first day that is read from `pulls.outcomes`; undefined if all days are. */
  outcomesFrom: string | undefined
}

export type RangeQuery = {
  period: Period
  timeZone: string
  /** Whether UTC days suffice. If not, single outcomes are read as far back as they are stored. */
  byDay: boolean
  /** The coarsest summaries that suffice; undefined if none do. */
  grain: 'month' | 'day' | undefined
}

type State = { registry: string; border: string; days: string | null; months: string | null }

/** Plans how to read a period of each registry: from summaries if they exist, else from days, and the newest part from outcomes. */
export const planRanges = async (db: Sql, wanted: RangeQuery): Promise<RangePlan[]> => {
  const { from, to } = wanted.period
  const { rows } = await sql<State>`
    select r.registry, ${sql.ref(wanted.byDay ? 'r.rolled_to' : 'r.kept_from')}::text as border,
      string_agg(s.start::text, ' ') filter (where s.grain = 'day') as days,
      string_agg(s.start::text, ' ') filter (where s.grain = 'month') as months
    from pulls.registries r
      left join pulls.summarized s on s.registry = r.registry and s.start >= ${from}::date and s.start < ${to}::date
    group by r.registry order by r.registry
  `.execute(db)
  return rows.map((state) => planOf(state, wanted))
}

/**
 * The first local day that is completely read from single invocations; undefined if the period begins later, or if UTC days
 * suffice.
 */
export const outcomesStart = (
  plans: readonly RangePlan[],
  { period, timeZone, byDay }: RangeQuery,
): string | undefined =>
  byDay
    ? undefined
    : plans
        .flatMap(({ outcomesFrom }) => outcomesFrom ?? [])
        // East of UTC, the local day of the same date began earlier, when no single invocations were stored yet.
        .map((day) => addDays(localDay(new Date(Date.parse(day) - 1), timeZone), 1))
        .filter((day) => day > period.from)
        .sort()
        .at(-1)

const planOf = ({ registry, border, days, months }: State, { period, grain }: RangeQuery): RangePlan => {
  const hasDays = border !== '-infinity'
  const end = hasDays && border < period.to ? border : period.to
  const known = new Set(grain === undefined ? [] : days?.split(' '))
  const whole = new Set(grain === 'month' ? months?.split(' ') : [])
  const plan: RangePlan = {
    registry,
    monthSummaries: [],
    daySummaries: [],
    rolledUpDays: [],
    outcomesFrom: hasDays ? border : undefined,
  }
  const nextKnown = nextOf([...known, ...whole])
  for (let day = period.from; hasDays && day < end;) {
    const month = addMonths(day, 1)
    const isWhole = whole.has(day) && month <= end
    const next = isWhole ? month : known.has(day) ? addDays(day, 1) : earlier(nextKnown(day) ?? end, end)
    lengthen(isWhole ? plan.monthSummaries : known.has(day) ? plan.daySummaries : plan.rolledUpDays, {
      from: day,
      to: next,
    })
    day = next
  }
  return plan
}

/** Finds the next day of a list; calls must have ascending days. It avoids a loop over each day of a long period. */
const nextOf = (days: string[]): ((day: string) => string | undefined) => {
  const sorted = days.sort()
  let i = 0
  return (day) => {
    while (i < sorted.length && (sorted[i] ?? '') <= day) i++
    return sorted[i]
  }
}

const earlier = (a: string, b: string): string => (a < b ? a : b)

const lengthen = (ranges: DayRange[], { from, to }: DayRange): void => {
  const last = ranges.at(-1)
  if (last?.to === from) last.to = to
  else ranges.push({ from, to })
}

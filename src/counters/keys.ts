import {
  isoWeekOf,
  MICROS_PER_DAY,
  monthOf,
  startOfMonth,
  startOfWeek,
  type IsoWeek,
  type Micros,
  type Month,
} from '../events/calendar.js'

/**
 * Only this file spells the keys of sketches. The weekly form is GitLab's; the month has an M, because `2023-05` alone
 * could be a week. The braces put all keys into one slot of a Redis Cluster, so that unions of sketches can be counted.
 */
export const KEY_PREFIX = '{hll_counters}_'

/** A sketch key, for example `{hll_counters}_i_container_registry_push_tag_user-2026-47`. */
export type SketchKey = string

const two = (n: number): string => String(n).padStart(2, '0')

export const weekName = ({ year, week }: IsoWeek): string => `${year}-${two(week)}`
export const monthName = ({ year, month }: Month): string => `${year}-M${two(month)}`

export const weeklyKey = (event: string, week: IsoWeek): SketchKey => `${KEY_PREFIX}${event}-${weekName(week)}`
export const monthlyKey = (event: string, month: Month): SketchKey => `${KEY_PREFIX}${event}-${monthName(month)}`

export type Aggregation = 'weekly' | 'monthly' | 'total'

/** The sketch key of an event's unique users at a moment. */
export const sketchKey = (event: string, aggregation: 'weekly' | 'monthly', at: Micros): SketchKey =>
  `${KEY_PREFIX}${event}-${periodsOf(at)[aggregation]}`

// Events arrive roughly in the order of time, so nearly all of them need the periods of the same day.
let day = NaN
let periods = { weekly: '', monthly: '' }
const periodsOf = (at: Micros): { weekly: string; monthly: string } => {
  const dayOfAt = Math.floor(at / MICROS_PER_DAY)
  if (dayOfAt !== day) {
    periods = { weekly: weekName(isoWeekOf(at)), monthly: monthName(monthOf(at)) }
    day = dayOfAt
  }
  return periods
}

const KEY = /^\{hll_counters\}_([a-z][a-z0-9_]*)-(\d{4})-(?:(\d\d)|M(\d\d))$/

/** The parts of a sketch key: the event, and the period from `start` up to, but not including, `end`. */
export type SketchName = {
  event: string
  aggregation: 'weekly' | 'monthly'
  period: string
  start: Micros
  end: Micros
}

/** The parts of a sketch key; undefined for a key that is not Tallyman's, or if the year has no such week or month. */
export const parseSketchKey = (key: SketchKey): SketchName | undefined => {
  const [, event, year, week, month] = KEY.exec(key) ?? []
  if (event === undefined || year === undefined) return undefined
  if (week !== undefined) {
    const start = startOfWeek({ year: Number(year), week: Number(week) })
    if (weekName(isoWeekOf(start)) !== `${year}-${week}`) return undefined
    return { event, aggregation: 'weekly', period: `${year}-${week}`, start, end: start + 7 * MICROS_PER_DAY }
  }
  const first = { year: Number(year), month: Number(month) }
  if (first.month < 1 || first.month > 12) return undefined
  const end = startOfMonth({ ...first, month: first.month + 1 })
  return { event, aggregation: 'monthly', period: monthName(first), start: startOfMonth(first), end }
}

/** Seconds for which a sketch is stored after its last write. */
export type Lifetimes = { weekly: number; monthly: number }

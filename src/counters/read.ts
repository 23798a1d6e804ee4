import type { Micros } from '../events/calendar.js'
import type { SketchStore } from '../storage/sketches/sketch-store.js'
import { KEY_PREFIX, monthlyKey, parseSketchKey, weeklyKey, type SketchKey } from './keys.js'
import { completeWeeks, rangeOf, wholeMonths, type DayRange, type TimeFrame } from './time-frames.js'

/** Distinct users, or -1 if no complete period lies in the range. Estimated with a standard error of 0.81 %. */
export type UniqueCount = { value: number; keys: SketchKey[] }

/** One sketch in its current state. */
export type CounterRow = { key: SketchKey; event: string; period: string; count: number; seconds: number }

const NO_KEYS = -1

/** The keys of a union of events over the whole weeks, or whole months, of a range. */
export const keysFor = (events: readonly string[], aggregation: 'weekly' | 'monthly', range: DayRange): SketchKey[] =>
  aggregation === 'weekly'
    ? completeWeeks(range).flatMap((week) => events.map((event) => weeklyKey(event, week)))
    : wholeMonths(range).flatMap((month) => events.map((event) => monthlyKey(event, month)))

/** The keys behind a metric's time frame, as of a day. */
export const keysForTimeFrame = (events: readonly string[], timeFrame: TimeFrame, today: Micros): SketchKey[] =>
  keysFor(events, timeFrame === 'month' ? 'monthly' : 'weekly', rangeOf(timeFrame, today))

/** Distinct users of several unions of keys, in one round trip; for a union that fails, its error. */
export const countKeys = async (
  sketches: SketchStore,
  unions: readonly (readonly SketchKey[])[],
): Promise<(number | Error)[]> => {
  const nonEmpty = unions.filter((keys) => keys.length > 0)
  const counts = nonEmpty.length > 0 ? await sketches.count(nonEmpty) : []
  return unions.map((keys) => (keys.length > 0 ? (counts.shift() ?? NO_KEYS) : NO_KEYS))
}

/** Distinct users of one union of keys. */
export const uniqueUsers = async (sketches: SketchStore, keys: SketchKey[]): Promise<UniqueCount> => {
  const [value = NO_KEYS] = await countKeys(sketches, [keys])
  if (value instanceof Error) throw value
  return { value, keys }
}

/** All sketches with their counts, including the current periods; sorted by key. */
export const listCounters = async (sketches: SketchStore): Promise<CounterRow[]> => {
  const found = []
  for await (const { key, seconds } of sketches.entries(KEY_PREFIX)) {
    const name = parseSketchKey(key)
    if (name) found.push({ key, event: name.event, period: name.period, seconds })
  }
  const counts = await countKeys(
    sketches,
    found.map(({ key }) => [key]),
  )
  return found
    .map((row, i) => ({ ...row, count: counts[i] instanceof Error ? NO_KEYS : (counts[i] ?? NO_KEYS) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
}

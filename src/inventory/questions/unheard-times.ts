import { MS_PER_DAY } from '../../events/calendar.js'

/**
 * Small registries are not used on some days. If a registry sends no event for longer, its notifications may no longer arrive.
 */
export const LONGEST_SILENCE_DAYS = 7

/** A period without events, in milliseconds since 1970. `from` is -Infinity for the period before the first event. */
export type Gap = { from: number; to: number }

/**
 * The periods between days with events, and the period before the first such day. All times are UTC.
 * @param days days since 1970-01-01 as an int4multirange in PostgreSQL's format: `{[20000,20003),[20005,20006)}`
 */
export const gapsBetween = (days: string): Gap[] => {
  const gaps: Gap[] = []
  let from = -Infinity
  for (const [, first, last] of days.matchAll(/[[(](-?\d*),(-?\d*)\)/g)) {
    const to = first === '' ? -Infinity : Number(first) * MS_PER_DAY
    if (to > from) gaps.push({ from, to })
    from = last === '' ? Infinity : Number(last) * MS_PER_DAY
  }
  return gaps
}

/**
 * How long a registry may send no event before its notifications count as interrupted: a week, or half of the period of a query
 * if that is shorter.
 */
export const longestSilence = (sinceMs: number, nowMs: number): number =>
  Math.min(LONGEST_SILENCE_DAYS * MS_PER_DAY, (nowMs - sinceMs) / 2)

/**
 * The newest long gap that ends after `since` and has not been followed by an equally long time with events: after such a time,
 * an image that is always in use has been used again. The time before the first event is a gap without a beginning, so it counts
 * until it ends before `since`.
 */
export const openGap = (gaps: readonly Gap[], { since, now }: { since: number; now: number }): Gap | undefined => {
  const longest = longestSilence(since, now)
  let unheard = 0
  for (const gap of [...gaps].reverse()) {
    const length = gap.to - gap.from
    if (gap.to <= since) return undefined
    if (length < longest) continue
    if (now - gap.to - unheard < length) return gap
    unheard += length
  }
  return undefined
}

/** The newest gap that is a week or longer. */
export const newestLongGap = (gaps: readonly Gap[]): Gap | undefined =>
  [...gaps].reverse().find(({ from, to }) => to - from >= LONGEST_SILENCE_DAYS * MS_PER_DAY)

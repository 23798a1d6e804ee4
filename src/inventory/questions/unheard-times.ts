const DAY_MS = 86_400_000
/** Small registries are not used on some days. If a registry has no event for longer, its notifications may not arrive any more. */
export const LONGEST_SILENCE_DAYS = 7

/** A time in which nothing was heard, in milliseconds since 1970. `from` is -Infinity before the first event. */
export type Gap = { from: number; to: number }

/**
 * The times between days on which something was heard, and the one before the first of them. All times are UTC.
 * @param days an int4multirange as PostgreSQL writes it, of days since 1970-01-01: `{[20000,20003),[20005,20006)}`
 */
export const gapsBetween = (days: string): Gap[] => {
  const gaps: Gap[] = []
  let from = -Infinity
  for (const [, first, last] of days.matchAll(/[[(](-?\d*),(-?\d*)\)/g)) {
    const to = first === '' ? -Infinity : Number(first) * DAY_MS
    if (to > from) gaps.push({ from, to })
    from = last === '' ? Infinity : Number(last) * DAY_MS
  }
  return gaps
}

/** How long a registry may be silent before it is doubtful whether it is heard: a week, or half of the time that a query is about. */
export const longestSilence = (sinceMs: number, nowMs: number): number =>
  Math.min(LONGEST_SILENCE_DAYS * DAY_MS, (nowMs - sinceMs) / 2)

/**
 * The newest gap of the time since `since` after which the registry was not heard for as long: an image that is always in use has been
 * used again by then. Before the first event is a gap without a beginning, which is over once it is out of the time.
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
  [...gaps].reverse().find(({ from, to }) => to - from >= LONGEST_SILENCE_DAYS * DAY_MS)

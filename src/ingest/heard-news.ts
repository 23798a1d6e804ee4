import { MICROS_PER_DAY, type Micros } from '../events/calendar.js'
import type { RegistryEvent } from '../events/registry-event.js'

/**
 * An event that is older than this on arrival was queued in its registry, and more events may still be queued there. The parts of
 * an image are pushed within a day: LONGEST_PUSH of the summary is twice this time.
 */
const LATE: Micros = 12 * 3_600_000_000

/**
 * The number of days that are stored. The number is limited, because a sender can report events of any time. Ten years of
 * separate days have some 30 kB.
 */
export const MOST_DAYS = 3_660
const OLDEST: Micros = MOST_DAYS * MICROS_PER_DAY

/** The times of the events that a registry sent since the last write. Days are UTC days since 1970-01-01. */
export type News = {
  lastEventAt: Micros
  lastReceivedAt: Micros
  lastPullAt: Micros | undefined
  /** The arrival time of the newest event that arrived late. */
  lateAt: Micros | undefined
  events: number
  days: Set<number>
  pullDays: Set<number>
}
export type Heard = Map<string, News>

export const noNews = (): News => ({
  lastEventAt: 0,
  lastReceivedAt: 0,
  lastPullAt: undefined,
  lateAt: undefined,
  events: 0,
  days: new Set(),
  pullDays: new Set(),
})

const later = (a: Micros | undefined, b: Micros | undefined): Micros | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.max(a, b)

export const addEvent = (
  news: News,
  { at, action, receivedAt }: Pick<RegistryEvent, 'at' | 'action'> & { receivedAt: Micros },
): void => {
  // The clock of a registry may be ahead, so an event counts as no later than its arrival.
  const eventAt = Math.min(at, receivedAt)
  const day = Math.floor(eventAt / MICROS_PER_DAY)
  news.lastEventAt = Math.max(news.lastEventAt, eventAt)
  news.lastReceivedAt = Math.max(news.lastReceivedAt, receivedAt)
  news.events++
  if (receivedAt - eventAt > LATE) news.lateAt = receivedAt
  if (receivedAt - eventAt > OLDEST) return
  news.days.add(day)
  if (action !== 'pull') return
  news.pullDays.add(day)
  news.lastPullAt = later(news.lastPullAt, eventAt)
}

export const addNews = (news: News, other: News): void => {
  news.lastEventAt = Math.max(news.lastEventAt, other.lastEventAt)
  news.lastReceivedAt = Math.max(news.lastReceivedAt, other.lastReceivedAt)
  news.events += other.events
  for (const day of other.days) news.days.add(day)
  for (const day of other.pullDays) news.pullDays.add(day)
  news.lastPullAt = later(news.lastPullAt, other.lastPullAt)
  news.lateAt = later(news.lateAt, other.lateAt)
}

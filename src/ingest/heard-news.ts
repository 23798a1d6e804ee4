import { MICROS_PER_DAY, type Micros } from '../events/calendar.js'
import type { RegistryEvent } from '../events/registry-event.js'

/**
 * An event that happened so much longer ago waited in a queue of its registry, and others may wait there. What an image consists of is
 * pushed within a day: LONGEST_PUSH of the summary is longer by as much again.
 */
const LATE: Micros = 12 * 3_600_000_000

/** Days that are kept: a sender can say of events that they are of any time. Ten years of single days have some 30 kB. */
export const MOST_DAYS = 3_660
const OLDEST: Micros = MOST_DAYS * MICROS_PER_DAY

/** What was heard of a registry since the last write. Days are UTC days since 1970-01-01. */
export type News = {
  lastEventAt: Micros
  lastReceivedAt: Micros
  lastPullAt?: Micros
  /** When the newest event was received that happened long before. */
  lateAt?: Micros
  events: number
  days: Set<number>
  pullDays: Set<number>
}
export type Heard = Map<string, News>

export const noNews = (): News => ({
  lastEventAt: 0,
  lastReceivedAt: 0,
  events: 0,
  days: new Set(),
  pullDays: new Set(),
})

export const addEvent = (
  news: News,
  { at, action, receivedAt }: Pick<RegistryEvent, 'at' | 'action'> & { receivedAt: Micros },
): void => {
  // The clock of a registry may be ahead; no event is later than its arrival.
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
  news.lastPullAt = Math.max(news.lastPullAt ?? 0, eventAt)
}

export const addNews = (news: News, other: News): void => {
  news.lastEventAt = Math.max(news.lastEventAt, other.lastEventAt)
  news.lastReceivedAt = Math.max(news.lastReceivedAt, other.lastReceivedAt)
  news.events += other.events
  for (const day of other.days) news.days.add(day)
  for (const day of other.pullDays) news.pullDays.add(day)
  const lastPullAt = Math.max(news.lastPullAt ?? 0, other.lastPullAt ?? 0)
  if (lastPullAt > 0) news.lastPullAt = lastPullAt
  const lateAt = Math.max(news.lateAt ?? 0, other.lateAt ?? 0)
  if (lateAt > 0) news.lateAt = lateAt
}

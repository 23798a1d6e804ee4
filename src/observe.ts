import type { Logger } from 'pino'
import type { NotificationObserver } from './http/notifications.js'
import type { Prometheus } from './http/prometheus.js'
import type { Receptions } from './ingest/receptions.js'

/** A wrong token comes a thousand times a minute; one line a minute tells it. */
const WARN_EVERY_MS = 60_000

type Needs = { receptions: Receptions; prometheus: Prometheus; log: Logger; now: () => Date }

/** Tells what became of notifications: to Prometheus, to those who ask for the status, and, where something is amiss, to the log. */
export const observeNotifications = ({ receptions, prometheus, log, now }: Needs): NotificationObserver => {
  let warnedAt = 0
  const warn = (status: number, error: unknown): void => {
    if (now().getTime() - warnedAt < WARN_EVERY_MS && status !== 500) return
    warnedAt = now().getTime()
    if (status === 401) {
      log.warn(
        'a notification had no valid token; compare the registry’s Authorization header with the notification tokens',
      )
      return
    }
    const reason = error !== undefined && { err: error }
    log.warn({ status, ...reason }, 'a notification was refused; the registry will send it again')
  }

  return {
    stored: (events, outcomes) => {
      receptions.heard(events.filter((event) => 'action' in event))
      prometheus.lastEvent(now())
      const counts = new Map<string, { action: string; outcome: string; count: number }>()
      events.forEach((event, i) => {
        const action = 'action' in event ? event.action : 'unreadable'
        const outcome = outcomes[i] ?? 'recorded'
        const count = counts.get(`${action} ${outcome}`) ?? { action, outcome, count: 0 }
        count.count++
        counts.set(`${action} ${outcome}`, count)
      })
      for (const { action, outcome, count } of counts.values()) prometheus.events(action, outcome, count)
    },
    refused: (status, error) => {
      receptions.refused(status)
      prometheus.refused(status)
      warn(status, error)
    },
  }
}

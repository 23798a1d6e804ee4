import type { Logger } from 'pino'
import type { ResolvedItem } from '../events/reported-item.js'
import { WEBHOOKS } from '../http/notification-paths.js'
import type { NotificationObserver } from '../http/notifications.js'
import type { Prometheus } from '../http/prometheus.js'
import type { Receptions } from '../ingest/receptions.js'
import { messageOf } from '../runtime/error-message.js'
import { isOver, NO_WAIT, waitOf, type Wait } from '../runtime/wait.js'
import type { WriteCheck } from './write-check.js'

/** A wrong token or an unavailable store may cause a thousand failures a minute. The log gets one line a minute for each kind. */
const LOG_EVERY_MS = 60_000

/** Returns whether to log a failure: only the first one of a kind, such as a status, in each minute. */
export const onceAMinute = (now: () => Date): ((kind: number | string) => boolean) => {
  const pauses = new Map<number | string, Wait>()
  return (kind) => {
    if (!isOver(pauses.get(kind) ?? NO_WAIT, now())) return false
    pauses.set(kind, waitOf(LOG_EVERY_MS, now()))
    return true
  }
}

/** The label of an item in the counts of Prometheus. */
const actionOf = (item: ResolvedItem): string => {
  if ('action' in item) return item.action
  if ('requester' in item) return 'request'
  return 'ignored' in item ? 'ignored' : 'unreadable'
}

type ObserverDeps = {
  receptions: Receptions
  prometheus: Prometheus
  writes: Pick<WriteCheck, 'succeeded' | 'failed'>
  log: Logger
  now: () => Date
}

/** Reports the outcomes of notifications to Prometheus, to the status, and, if something is wrong, to the log. */
export const observeNotifications = ({
  receptions,
  prometheus,
  writes,
  log,
  now,
}: ObserverDeps): NotificationObserver => {
  const isToBeLogged = onceAMinute(now)
  const warn = (status: number, error: unknown): void => {
    if (!isToBeLogged(status)) return
    if (status === 401) {
      log.warn(
        'a notification had no valid token; compare the registry’s Authorization header with the notification tokens',
      )
      return
    }
    if (status === 404) {
      log.warn(`a notification came to a wrong path; registries send them to ${WEBHOOKS}`)
      return
    }
    // For an invalid request the message is enough. A stack helps only with a defect of the service, or with a store.
    const reason = error !== undefined && (status < 500 ? { reason: messageOf(error) } : { err: error })
    log.warn({ status, ...reason }, 'a notification was refused; the registry will send it again')
  }

  return {
    stored: (events, outcomes) => {
      const isStored = (_event: unknown, i: number): boolean => outcomes[i] !== 'not_storable'
      if (events.some(isStored)) writes.succeeded()
      // Requests alone do not show that the notifications of their registry arrive. An event that the database refused is unknown, so
      // its registry was not heard: an image in use would look unused.
      receptions.heard(events.filter(isStored).filter((event) => 'action' in event))
      if (events.length > 0) prometheus.lastEvent(now())
      const counts = new Map<string, { action: string; outcome: string; count: number }>()
      events.forEach((event, i) => {
        const action = actionOf(event)
        const outcome = outcomes[i] ?? 'recorded'
        const count = counts.get(`${action} ${outcome}`) ?? { action, outcome, count: 0 }
        count.count++
        if ('action' in event && outcome !== 'repeated') event.unreadableFields?.forEach(prometheus.unreadableField)
        counts.set(`${action} ${outcome}`, count)
      })
      for (const { action, outcome, count } of counts.values()) prometheus.events(action, outcome, count)
    },
    refused: (status, error) => {
      receptions.refused(status)
      prometheus.refused(status)
      if (status >= 500 && error !== undefined) writes.failed(error)
      warn(status, error)
    },
  }
}

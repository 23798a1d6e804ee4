import type { IncomingMessage, ServerResponse } from 'node:http'
import { microsOf } from '../events/calendar.js'
import { readEnvelope } from '../events/notification.js'
import type { RegistryEvent, UnreadableEvent } from '../events/registry-event.js'
import type { SkipReason } from '../events/skip-reason.js'
import type { Outcome } from '../ingest/ingest.js'
import type { Authorize } from './auth.js'
import { problemOf, type Problem } from './problem.js'

export const NOTIFICATION_PATHS: ReadonlySet<string> = new Set([
  '/container_registry_event/events',
  '/api/v4/container_registry_event/events',
])

/** The answer to a notification: each event is counted in exactly one place. */
type Report = { recorded: number; repeated: number; skipped: Partial<Record<SkipReason, number>> }

/** What others want to know of each notification. */
export type NotificationObserver = {
  stored: (events: readonly (RegistryEvent | UnreadableEvent)[], outcomes: readonly Outcome[]) => void
  refused: (status: number, error?: unknown) => void
}

type Needs = {
  ingest: (events: readonly (RegistryEvent | UnreadableEvent)[]) => Promise<Outcome[]>
  authorize: Authorize
  /** Bytes; larger bodies are answered 413. */
  largestBody: number
  observer: NotificationObserver
  now: () => Date
}

/** Bytes of all bodies being read at once; beyond it a request is asked to come again. */
const BODIES_AT_ONCE = 128 * 1024 * 1024

/**
 * The webhook. A registry sends one event at a time and waits for the answer, so this is the hot path: it stands beside
 * Express, not inside, and does nothing but read, check, parse and ingest.
 */
export const createNotificationHandler = (
  needs: Needs,
): ((request: IncomingMessage, response: ServerResponse) => void) => {
  const { ingest, authorize, largestBody, observer, now } = needs
  let reading = 0

  const refuse = (response: ServerResponse, { status, message }: Problem, error?: unknown): void => {
    observer.refused(status, error)
    if (status === 401) response.setHeader('www-authenticate', 'Bearer')
    if (status === 503) response.setHeader('retry-after', '1')
    answer(response, status, { message })
  }

  const store = async (body: Buffer, response: ServerResponse): Promise<void> => {
    try {
      const events = readEnvelope(body, microsOf(now()))
      const outcomes = await ingest(events)
      observer.stored(events, outcomes)
      answer(response, 200, reportOf(outcomes))
    } catch (error) {
      refuse(response, problemOf(error), error)
    }
  }

  return (request, response) => {
    const refusal = requestProblem(request, authorize(request.headers), largestBody)
    if (refusal) {
      // A body of a known, bearable length is read to its end, so that the connection can go on; any other is cut off.
      if (!(Number(request.headers['content-length']) <= largestBody)) response.setHeader('connection', 'close')
      request.resume()
      refuse(response, refusal)
      return
    }
    const chunks: Buffer[] = []
    let size = 0
    let over = false
    const done = (): void => {
      reading -= size
      size = 0
    }
    request.on('data', (chunk: Buffer) => {
      if (over) return
      size += chunk.length
      reading += chunk.length
      chunks.push(chunk)
      if (size <= largestBody && reading <= BODIES_AT_ONCE) return
      over = true
      const problem = size > largestBody ? tooLarge(largestBody) : busy
      response.setHeader('connection', 'close')
      chunks.length = 0
      done()
      refuse(response, problem)
    })
    request.on('end', () => {
      if (over) return
      done()
      void store(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks), response)
    })
    request.on('error', done)
    request.on('close', () => {
      if (!request.complete) done()
    })
  }
}

const requestProblem = (request: IncomingMessage, authorization: string, largestBody: number): Problem | undefined => {
  if (request.method !== 'POST') return { status: 405, message: '405 Method Not Allowed: notifications are POSTed' }
  if (authorization === 'missing') {
    return {
      status: 401,
      message: '401 Unauthorized: the Authorization header is missing; send "Bearer <token>" or the token alone',
    }
  }
  if (authorization === 'wrong') {
    return { status: 401, message: '401 Unauthorized: the token is not one of the notification tokens' }
  }
  return Number(request.headers['content-length'] ?? 0) > largestBody ? tooLarge(largestBody) : undefined
}

const tooLarge = (largestBody: number): Problem => ({
  status: 413,
  message: `413 Content Too Large: a notification may have ${largestBody} bytes`,
})

const busy: Problem = { status: 503, message: '503 Service Unavailable: too many notifications at once; send it again' }

const reportOf = (outcomes: readonly Outcome[]): Report => {
  const report: Report = { recorded: 0, repeated: 0, skipped: {} }
  for (const outcome of outcomes) {
    if (outcome === 'recorded' || outcome === 'repeated') report[outcome]++
    else report.skipped[outcome] = (report.skipped[outcome] ?? 0) + 1
  }
  return report
}

const answer = (response: ServerResponse, status: number, body: object): void => {
  const text = JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

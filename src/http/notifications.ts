import type { IncomingMessage, ServerResponse } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import { microsOf } from '../events/calendar.js'
import type { ReportedItem, ResolvedItem } from '../events/reported-item.js'
import type { OutcomeReason } from '../events/outcome-reason.js'
import type { Ingest } from '../ingest/ingest.js'
import type { ItemOutcome } from '../ingest/item.js'
import type { Submitter } from '../ingest/turns-of-submitters.js'
import type { RegistryIdentity } from '../registries/registry-identity.js'
import { createInTurn } from '../runtime/in-turn.js'
import type { Delivery, FindToken, Sender, TokenOfSender, Verified } from '../sources/sender.js'
import type { Losses } from '../storage/sql/losses.js'
import type { Authorize } from './auth.js'
import { createBodyBudget, type BodyBudget } from './body-budget.js'
import { WEBHOOKS } from './notification-paths.js'
import { problemOfNotification, problemWith, type Problem } from './problem.js'

/** The body of the response: each event is counted in exactly one of these numbers. */
type Report = { recorded: number; repeated: number; skipped: Partial<Record<OutcomeReason, number>> }

/** Receives the result of each notification, for the status, the metrics and the log. */
export type NotificationObserver = {
  stored: (events: readonly ResolvedItem[], outcomes: readonly ItemOutcome[]) => void
  refused: (status: number, error?: unknown) => void
}

type Reported = readonly ReportedItem[]

type NotificationDeps = {
  ingest: Ingest['ingest']
  /** Looks up notification tokens. */
  findToken: FindToken
  /** Recognises an API token that is sent here by mistake. */
  authorizeApi: Authorize
  /** Sets the registry of each event. The notification token may name it. */
  resolve: RegistryIdentity['resolve']
  /** Lost connections to the database. */
  losses: Pick<Losses, 'count'>
  /** The largest number of bytes of a body; a larger one gets the response 413. */
  largestBody: number
  observer: NotificationObserver
  now: () => Date
  /** If the budget is used up, a request gets the response 503, and the sender retries it. */
  budget?: BodyBudget
}

/**
 * A body of at least so many bytes is parsed in a separate turn of the event loop: parsing takes some milliseconds, and many such
 * bodies may arrive at once.
 */
const READ_ALONE = 64 * 1024

/**
 * How long a sender must wait before a retry, by status. After a 504 the time is longer: a notification that took the database
 * too long may do so again, and delays other notifications.
 */
const RETRY_AFTER_SECONDS: Readonly<Record<number, string>> = { 503: '1', 504: '30' }

/** Answers a request to the webhook of a sender, or to a misspelt path of one. */
export type NotificationHandler = (request: IncomingMessage, response: ServerResponse, sender: Sender | 'near') => void

/**
 * The webhook. A registry sends one event at a time and waits for the answer, so the webhook must be fast. It bypasses Express,
 * and only reads, checks, parses and ingests.
 */
export const createNotificationHandler = (deps: NotificationDeps): NotificationHandler => {
  const {
    ingest,
    findToken,
    authorizeApi,
    resolve,
    losses,
    largestBody,
    observer,
    now,
    budget = createBodyBudget(largestBody),
  } = deps

  const refuse = (response: ServerResponse, { status, message }: Problem, error?: unknown): void => {
    observer.refused(status, error)
    if (status === 401) response.setHeader('www-authenticate', 'Bearer')
    const retryAfter = RETRY_AFTER_SECONDS[status]
    if (retryAfter !== undefined) response.setHeader('retry-after', retryAfter)
    answer(response, status, { message })
  }

  const store = async (reported: Reported, response: ServerResponse, token: TokenOfSender): Promise<void> => {
    try {
      const resolvedAt = losses.count()
      const resolved = resolve(reported, token.registry)
      const events = resolved instanceof Promise ? await resolved : resolved
      const outcomes = await ingest(events, submitterOf(token, events), resolvedAt)
      observer.stored(events, outcomes)
      answer(response, 200, reportOf(outcomes))
    } catch (error) {
      refuse(response, problemOfNotification(error), error)
    }
  }

  /** Large bodies are parsed one after the other, because a parsed body takes more memory than its bytes. */
  const inTurn = createInTurn()
  let readAlone = 0
  const parse = (sender: Sender, delivery: Omit<Delivery, 'now'>): Reported | Promise<Reported> => {
    if (delivery.body.length < READ_ALONE) return sender.read({ ...delivery, now: microsOf(now()) })
    const isBehind = readAlone++ > 0
    return inTurn(async () => {
      // The events of the previous body are passed on in the turn in which it was parsed, so this one waits for the next turn.
      if (isBehind) await setImmediate()
      return sender.read({ ...delivery, now: microsOf(now()) })
    }).finally(() => readAlone--)
  }

  /** Passes on only the events of a body, so that the body itself does not stay in memory while the events are stored. */
  const read = (
    { sender, token, ...delivery }: Omit<Delivery, 'now'> & { sender: Sender; token: TokenOfSender },
    response: ServerResponse,
  ): Promise<void> | undefined => {
    const refuseBody = (error: unknown): void => {
      refuse(response, problemOfNotification(error), error)
    }
    try {
      const reported = parse(sender, delivery)
      if (!(reported instanceof Promise)) return store(reported, response, token)
      return reported.then(async (all) => store(all, response, token), refuseBody)
    } catch (error) {
      refuseBody(error)
      return undefined
    }
  }

  const refuseUnread = (request: IncomingMessage, response: ServerResponse, problem: Problem): void => {
    // A body of an acceptable length is read to its end, so that the connection can be used again. For any other body, the
    // connection is closed.
    if (!(Number(request.headers['content-length']) <= largestBody)) response.setHeader('connection', 'close')
    request.resume()
    refuse(response, problem)
  }

  return (request, response, sender) => {
    if (sender === 'near') {
      refuseUnread(request, response, wrongPath)
      return
    }
    const { headers } = request
    const token = tokenOf(request, { verified: sender.verify(headers, findToken), authorizeApi, largestBody })
    if ('status' in token) {
      refuseUnread(request, response, token)
      return
    }
    const chunks: Buffer[] = []
    const share = budget.open(token.token)
    let size = 0
    let over = false
    request.on('data', (chunk: Buffer) => {
      if (over) return
      size += chunk.length
      const isTooLarge = size > largestBody
      if (!isTooLarge && share.add(chunk.length)) {
        chunks.push(chunk)
        return
      }
      over = true
      response.setHeader('connection', 'close')
      chunks.length = 0
      share.release()
      refuse(response, isTooLarge ? tooLarge(largestBody) : busy)
    })
    request.on('end', () => {
      if (over) return
      const body = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)
      chunks.length = 0
      // Released only after the answer, because the budget also counts notifications that are waiting to be stored.
      void Promise.resolve(read({ sender, token, body, headers }, response)).finally(share.release)
    })
    const giveUp = (): void => {
      if (request.complete) return
      chunks.length = 0
      share.release()
    }
    request.on('error', giveUp)
    request.on('close', giveUp)
  }
}

/**
 * The queue of a notification; queues take turns. Each token has its own queue. A token without a registry's name has one queue
 * for each registry, as far as the first event identifies it.
 */
const submitterOf = ({ token, registry }: TokenOfSender, [first]: readonly ResolvedItem[]): Submitter => ({
  holder: String(token),
  registry: registry ?? (first && 'registry' in first ? first.registry : ''),
})

/** The token of a request, or the reason for a refusal. */
const tokenOf = (
  request: IncomingMessage,
  { verified, authorizeApi, largestBody }: { verified: Verified; authorizeApi: Authorize; largestBody: number },
): TokenOfSender | Problem => {
  if (request.method !== 'POST') return problemWith(405, 'notifications are POSTed')
  if (verified === 'missing') {
    return problemWith(401, 'the Authorization header is missing; send "Bearer <token>" or the token alone')
  }
  if (verified === 'wrong') {
    const what = typeof authorizeApi(request.headers) === 'string' ? '' : ', but one of the API tokens'
    return problemWith(401, `the token is not one of the notification tokens${what}`)
  }
  return Number(request.headers['content-length'] ?? 0) > largestBody ? tooLarge(largestBody) : verified
}

const wrongPath = problemWith(404, `there is nothing under this path; notifications are sent to ${WEBHOOKS}`)

const tooLarge = (largestBody: number): Problem => problemWith(413, `a notification may have ${largestBody} bytes`)

const busy = problemWith(503, 'too many notifications at once; send it again')

const reportOf = (outcomes: readonly ItemOutcome[]): Report => {
  const report: Report = { recorded: 0, repeated: 0, skipped: {} }
  for (const outcome of outcomes) {
    if (outcome === 'recorded' || outcome === 'repeated') report[outcome]++
    else report.skipped[outcome] = (report.skipped[outcome] ?? 0) + 1
  }
  return report
}

const answer = (response: ServerResponse, status: number, body: object): void => {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
  })
  response.end(text)
}

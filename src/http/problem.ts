import { UserError, type ErrorKind } from '../runtime/user-error.js'
import { isStorageUnavailable } from '../storage/unavailable.js'
import { isCancelled, TIME_LIMITS } from '../storage/sql/database.js'

/** The status and the message of a failed request. */
export type Problem = { status: number; message: string }

const PHRASES = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Content Too Large',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
} as const

/** A status with a reason, as clients receive it. */
export const problemWith = (status: keyof typeof PHRASES, reason: string): Problem => ({
  status,
  message: `${status} ${PHRASES[status]}: ${reason}`,
})

/** A route refuses a request. The reason is for its client: it names the culprit, what was expected, and what to do. */
export class RefusedRequest extends Error {
  readonly problem: Problem

  constructor(status: 400 | 403 | 404 | 503 | 504, reason: string) {
    const refusal = problemWith(status, reason)
    super(refusal.message)
    this.problem = refusal
  }
}

/** A store did not answer, and a repeated request cannot be recognised: the first request may or may not have counted. */
export class PossiblyCounted extends Error {}

const OWN_FAULT = problemWith(500, 'see the log of Tallyman')

const TOO_LONG = `the database ended a query that took too long (${TIME_LIMITS}); ask for less, or send it again`

/** Maps an error to a status and a sentence. An unknown error is a defect of Tallyman: 500. */
export const problemOf = (error: unknown): Problem => {
  if (error instanceof RefusedRequest) return error.problem
  if (error instanceof UserError) return userProblem(error)
  if (isCancelled(error)) return problemWith(504, TOO_LONG)
  if (error instanceof PossiblyCounted) {
    return problemWith(
      503,
      'a store does not answer; the event may have been counted, and if you send it again, totals may count it twice',
    )
  }
  if (isStorageUnavailable(error)) {
    return problemWith(
      503,
      'a store does not answer; the data may be stored in part. Send the request again: nothing counts twice',
    )
  }
  // Errors of Express's own body parsers contain the status to send.
  if (error instanceof Error && 'status' in error && typeof error.status === 'number' && error.status < 500) {
    return { status: error.status, message: `${error.status} ${error.message}` }
  }
  return OWN_FAULT
}

const STATUSES = {
  invalid: 400,
  'not-found': 404,
  conflict: 409,
  'too-large': 413,
  upstream: 502,
  unavailable: 503,
  timeout: 504,
} as const satisfies Record<Exclude<ErrorKind, 'setup'>, keyof typeof PHRASES>

const userProblem = ({ kind, message }: UserError): Problem =>
  kind === 'setup' ? OWN_FAULT : problemWith(STATUSES[kind], message)

/** Like problemOf, for a notification: its sender cannot send a smaller query instead. */
export const problemOfNotification = (error: unknown): Problem =>
  isCancelled(error) ? problemWith(504, STORED_TOO_LONG) : problemOf(error)

const STORED_TOO_LONG =
  'the database took too long to store the notification, and the statement was ended; send it again: nothing counts twice'

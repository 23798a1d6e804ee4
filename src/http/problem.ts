import { UserError, type ErrorKind } from '../runtime/user-error.js'
import { isStorageUnavailable } from '../storage/unavailable.js'
import { isCancelled, TIME_LIMITS } from '../storage/sql/database.js'

/** The status and the message of a failed request. */
export type Problem = { status: number; message: string }

/** The request is invalid. The message explains what to change. */
export class BadRequest extends Error {
  constructor(
    message: string,
    readonly status = 400,
  ) {
    super(message)
  }
}

/** A store did not answer, and a repeated request cannot be recognised: the first request may or may not have counted. */
export class PossiblyCounted extends Error {}

const OWN_FAULT: Problem = { status: 500, message: '500 Internal Server Error: see the log of Tallyman' }

const TOO_LONG = `the database ended a query that took too long (${TIME_LIMITS}); ask for less, or send it again`

/** Maps an error to a status and a sentence. An unknown error is a defect of Tallyman: 500. */
export const problemOf = (error: unknown): Problem => {
  if (error instanceof BadRequest) return { status: error.status, message: error.message }
  if (error instanceof UserError) return userProblem(error)
  if (isCancelled(error)) return { status: 504, message: `504 Gateway Timeout: ${TOO_LONG}` }
  if (error instanceof PossiblyCounted) {
    return {
      status: 503,
      message:
        '503 Service Unavailable: a store does not answer; the event may have been counted, and if you send it again, totals may count it twice',
    }
  }
  if (isStorageUnavailable(error)) {
    return {
      status: 503,
      message:
        '503 Service Unavailable: a store does not answer; the data may be stored in part. Send the request again: nothing counts twice',
    }
  }
  // Errors of Express's own body parsers contain the status to send.
  if (error instanceof Error && 'status' in error && typeof error.status === 'number' && error.status < 500) {
    return { status: error.status, message: `${error.status} ${error.message}` }
  }
  return OWN_FAULT
}

const STATUSES: Record<Exclude<ErrorKind, 'setup'>, { status: number; phrase: string }> = {
  invalid: { status: 400, phrase: 'Bad Request' },
  'not-found': { status: 404, phrase: 'Not Found' },
  conflict: { status: 409, phrase: 'Conflict' },
  'too-large': { status: 413, phrase: 'Content Too Large' },
  upstream: { status: 502, phrase: 'Bad Gateway' },
  unavailable: { status: 503, phrase: 'Service Unavailable' },
  timeout: { status: 504, phrase: 'Gateway Timeout' },
}

const userProblem = ({ kind, message }: UserError): Problem => {
  if (kind === 'setup') return OWN_FAULT
  const { status, phrase } = STATUSES[kind]
  return { status, message: `${status} ${phrase}: ${message}` }
}

/** Like problemOf, for a notification: its sender cannot send a smaller query instead. */
export const problemOfNotification = (error: unknown): Problem =>
  isCancelled(error) ? { status: 504, message: `504 Gateway Timeout: ${STORED_TOO_LONG}` } : problemOf(error)

const STORED_TOO_LONG =
  'the database took too long to store the notification, and the statement was ended; send it again: nothing counts twice'

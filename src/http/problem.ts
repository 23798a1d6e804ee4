import { ExportStopped } from '../counters/export-counters.js'
import { Overloaded } from '../ingest/batches.js'
import { NotADelivery, TooManyValues } from '../sources/sender.js'
import { RegistryNotReadable } from '../inventory/reconcile/selected-registries.js'
import { NotAllReconciled } from '../inventory/reconcile/each-registry.js'
import { AliasNotMoved, MaybeCache } from '../inventory/reconcile/reconcile-registry.js'
import { ReconcileBusy } from '../inventory/reconcile/reconcile.js'
import { MassDeletionRefused } from '../inventory/reconcile/mass-deletion-guard.js'
import { RegistryError } from '../registries/client/exchange.js'
import { QuestionTooLong } from '../inventory/questions/ask.js'
import { DeliveryError } from '../ping/deliver.js'
import { PullsError } from '../pulls/query/parameters.js'
import { JoinRefused } from '../registries/join-registries.js'
import { UnknownRegistry } from '../registries/registry-names.js'
import { isStorageUnavailable } from '../storage/unavailable.js'
import { isCancelled, TIME_LIMITS } from '../storage/sql/database.js'
import { DumpFailed } from '../storage/embedded/dump-now.js'
import { StatementRefused } from '../storage/sql/statement-check.js'
import { DamagedSketch } from '../storage/sketches/sketch-store.js'

/** A failure as it is answered. */
export type Problem = { status: number; message: string }

/** The request cannot be served as it is. The message says what to change. */
export class BadRequest extends Error {
  constructor(
    message: string,
    readonly status = 400,
  ) {
    super(message)
  }
}

/** A store did not answer, and a repeated request cannot be recognised: the first one may have counted, or not. */
export class PossiblyCounted extends Error {}

const TOO_LONG = `the database ended a query that took too long (${TIME_LIMITS}); ask for less, or send it again`

/** Turns an error into a status and a sentence: the only place that knows. What is not listed is our own fault: 500. */
export const problemOf = (error: unknown): Problem => {
  if (error instanceof BadRequest) return { status: error.status, message: error.message }
  if (error instanceof NotADelivery) return { status: 400, message: `400 Bad Request: ${error.message}` }
  if (error instanceof TooManyValues) return { status: 413, message: `413 Content Too Large: ${error.message}` }
  if (error instanceof PullsError) return { status: 400, message: `400 Bad Request: ${error.message}` }
  if (error instanceof UnknownRegistry) return { status: 400, message: `400 Bad Request: ${error.message}` }
  if (error instanceof StatementRefused) return { status: 400, message: `400 Bad Request: ${error.message}` }
  if (error instanceof JoinRefused) return { status: 400, message: `400 Bad Request: ${error.message}` }
  if (error instanceof Overloaded)
    return { status: 503, message: `503 Service Unavailable: ${error.message}; send it again` }
  if (error instanceof ExportStopped) return { status: 503, message: `503 Service Unavailable: ${error.message}` }
  if (error instanceof DeliveryError) return { status: 502, message: `502 Bad Gateway: ${error.message}` }
  if (error instanceof DamagedSketch) return { status: 502, message: `502 Bad Gateway: ${error.message}` }
  if (error instanceof NotAllReconciled) return { status: 502, message: `502 Bad Gateway: ${error.message}` }
  if (error instanceof RegistryError) return { status: 502, message: `502 Bad Gateway: ${error.message}` }
  if (error instanceof DumpFailed) return { status: 503, message: `503 Service Unavailable: ${error.message}` }
  if (error instanceof QuestionTooLong) return { status: 504, message: `504 Gateway Timeout: ${error.message}` }
  if (isCancelled(error)) return { status: 504, message: `504 Gateway Timeout: ${TOO_LONG}` }
  if (error instanceof RegistryNotReadable) return { status: 404, message: `404 Not Found: ${error.message}` }
  if (error instanceof MaybeCache) return { status: 409, message: `409 Conflict: ${error.message}` }
  if (error instanceof AliasNotMoved) return { status: 409, message: `409 Conflict: ${error.message}` }
  if (error instanceof MassDeletionRefused) return { status: 409, message: `409 Conflict: ${error.message}` }
  if (error instanceof ReconcileBusy) return { status: 409, message: `409 Conflict: ${error.message}` }
  if (error instanceof PossiblyCounted) {
    return {
      status: 503,
      message:
        '503 Service Unavailable: a store does not answer; it may have counted, and sent again totals may count twice',
    }
  }
  if (isStorageUnavailable(error)) {
    return {
      status: 503,
      message:
        '503 Service Unavailable: a store does not answer; it may be stored in part, send it again: nothing counts twice',
    }
  }
  // Errors of Express's own body parsers carry the status they want.
  if (error instanceof Error && 'status' in error && typeof error.status === 'number' && error.status < 500) {
    return { status: error.status, message: `${error.status} ${error.message}` }
  }
  return { status: 500, message: '500 Internal Server Error: see the log of Tallyman' }
}

/** The same for a notification, of which its sender cannot ask for less. */
export const problemOfNotification = (error: unknown): Problem =>
  isCancelled(error) ? { status: 504, message: `504 Gateway Timeout: ${STORED_TOO_LONG}` } : problemOf(error)

const STORED_TOO_LONG =
  'the database took too long to store the notification, and the statement was ended; send it again: nothing counts twice'

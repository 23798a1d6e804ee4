import { isNativeError } from 'node:util/types'
import { sqlState } from './sql/database.js'
import { POSTGRES_AWAY, REDIS_AWAY, SERVER_AWAY } from './sql/store-of-error.js'

/**
 * Whether an error means that a store cannot be reached, does not answer, or takes nothing at the moment (a Redis that is full
 * or wants another password): what was asked may work later, unchanged. So does an error that was caused by such a one, or
 * has one among its `errors`.
 * Knows the errors of node's sockets, of pg, of PostgreSQL (SQLSTATE 08, 53, 57P, 58, 25006) and of ioredis.
 */
export const isStorageAway = (error: unknown): boolean => hasCause(error, isAway)

/** Errors of errors that are looked at, and how deep: no chain of ours is longer, and a chain may be a circle. */
const [MOST_ERRORS, DEEPEST] = [1_000, 8]

/** Whether something holds for an error, for one that caused it (`cause`), or for one of those that it joins (`errors`). */
export const hasCause = (error: unknown, holds: (error: Error) => boolean): boolean => {
  let level: unknown[] = [error]
  let looked = 0
  for (let depth = 0; depth <= DEEPEST && level.length > 0; depth++) {
    const errors = level.filter((one): one is Error => isNativeError(one)).slice(0, MOST_ERRORS - looked)
    if (errors.some(holds)) return true
    looked += errors.length
    level = errors.flatMap((one) => [
      one.cause,
      ...('errors' in one && Array.isArray(one.errors) ? (one.errors as unknown[]) : []),
    ])
  }
  return false
}

const isAway = (error: Error): boolean => {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  // A file that is not there has the same code as a socket that is not.
  if (code === 'ENOENT') return 'syscall' in error && error.syscall === 'connect'
  if (SOCKET.has(code)) return true
  // What PostgreSQL says may quote a text that somebody sent: only its code decides.
  if (sqlState(error) !== undefined) return SERVER_AWAY.test(code)
  return REDIS.has(error.name) || (isOfDriver(error) && isAwayInWords(error))
}

/**
 * The drivers throw plain errors, and Redis's own answers are a `ReplyError`. Errors of other kinds, as that of a registry, may
 * quote any text.
 */
const isOfDriver = ({ name, constructor }: Error): boolean => constructor.name === 'Error' || name === 'ReplyError'

const isAwayInWords = ({ message }: Error): boolean => POSTGRES_AWAY.test(message) || REDIS_AWAY.test(message)

const SOCKET = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
])
const REDIS = new Set(['MaxRetriesPerRequestError', 'ClusterAllFailedError'])

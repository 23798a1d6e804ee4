import { isNativeError } from 'node:util/types'
import { isReplyOfRedis, isWithoutRedis, lastNodeMessage, reportsNoRedis } from './sketches/redis-errors.js'
import { sqlState } from './sql/database.js'
import { isOfPostgres, isServerUnavailable, reportsNoPostgres } from './sql/postgres-errors.js'

/**
 * Whether an error means that a store cannot be reached, does not answer, or accepts no commands at the moment (a Redis that is
 * full or wants another password). The same request may succeed later. An error with such an error as its `cause`, or among its
 * `errors`, counts as well.
 * Knows the errors of node's sockets, of pg, of PostgreSQL (SQLSTATE 08, 53, 57P, 58, 25006) and of ioredis.
 */
export const isStorageUnavailable = (error: unknown): boolean => hasCause(error, isUnavailable)

/** The limits of the search for causes, in errors and in depth. Tallyman's own causes are fewer; causes may also be circular. */
const [MOST_ERRORS, DEEPEST] = [1_000, 8]

/** Whether an error, a `cause` of it, or one of its `errors` matches. */
export const hasCause = (error: unknown, matches: (error: Error) => boolean): boolean => {
  let level: unknown[] = [error]
  let looked = 0
  for (let depth = 0; depth <= DEEPEST && level.length > 0; depth++) {
    const errors = level.filter((one): one is Error => isNativeError(one)).slice(0, MOST_ERRORS - looked)
    if (errors.some(matches)) return true
    looked += errors.length
    level = errors.flatMap((one) => [
      one.cause,
      ...('errors' in one && Array.isArray(one.errors) ? (one.errors as unknown[]) : []),
    ])
  }
  return false
}

const isUnavailable = (error: Error): boolean => {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (SOCKET.has(code)) return true
  // Whatever prevents a connection may pass, such as too few file descriptors. Operations on files fail with the same codes.
  if ('syscall' in error) return CONNECTING.has(error.syscall)
  // A message of PostgreSQL may quote a text from a client, so only the code decides.
  if (sqlState(error) !== undefined) return isServerUnavailable(error)
  return isWithoutRedis(error) || (isOfDriver(error) && (reportsNoPostgres(error) || reportsNoRedis(error)))
}

/**
 * The drivers throw plain errors, and an error of Redis itself is a `ReplyError`. Errors of other types, such as those of a
 * registry, may quote any text.
 */
const isOfDriver = (error: Error): boolean => error.constructor.name === 'Error' || isReplyOfRedis(error)

const CONNECTING: ReadonlySet<unknown> = new Set(['connect', 'getaddrinfo'])
const SOCKET = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOBUFS',
])

/**
 * What an error of a store says, for a person. Instead of the connection error, ioredis reports how often it tried, and which of its
 * options sets the number.
 */
export const unavailableReason = (error: Error): string =>
  isWithoutRedis(error) ? (lastNodeMessage(error) ?? 'no connection could be opened') : error.message

/** The name of a store in logs. */
export type StoreName = 'PostgreSQL' | 'Redis'

/** The store that an error reports as unavailable; undefined for any other error. Does not look at the `cause` of the error. */
export const storeOf = (error: unknown): StoreName | undefined => {
  if (!isNativeError(error)) return undefined
  if (isOfPostgres(error) || isServerUnavailable(error)) return 'PostgreSQL'
  if (isWithoutRedis(error) || isReplyOfRedis(error)) return 'Redis'
  if (!isOfDriver(error)) return undefined
  if (reportsNoPostgres(error)) return 'PostgreSQL'
  return reportsNoRedis(error) ? 'Redis' : undefined
}

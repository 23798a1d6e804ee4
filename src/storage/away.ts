import { isNativeError } from 'node:util/types'

/**
 * Whether an error means that a store cannot be reached, does not answer, or takes nothing at the moment (a Redis that is full
 * or wants another password): what was asked may work later, unchanged.
 * Knows the errors of node's sockets, of pg, of PostgreSQL (SQLSTATE 08, 53, 57P, 58, 25006) and of ioredis.
 */
export const isStorageAway = (error: unknown): boolean => {
  if (!isNativeError(error)) return false
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  // A file that is not there has the same code as a socket that is not.
  if (code === 'ENOENT') return 'syscall' in error && error.syscall === 'connect'
  if (SOCKET.has(code)) return true
  // What PostgreSQL says may quote a text that somebody sent: only its code decides.
  if (SQLSTATE.test(code)) return SERVER.test(code)
  return CLIENT.test(error.message) || REDIS.has(error.name)
}

/** Codes of sockets, as EPIPE, begin with an E, and no class of PostgreSQL does. */
const SQLSTATE = /^[0-9A-DF-Z][0-9A-Z]{4}$/

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
const SERVER = /^(08|53|57P|58)[0-9A-Z]*$|^25006$/
const CLIENT =
  /Query read timeout|Connection terminated|timeout exceeded when trying to connect|not queryable|Connection is closed|Command timed out|Stream isn't writeable|\b(?:LOADING|BUSY|CLUSTERDOWN|MASTERDOWN|READONLY|TRYAGAIN|NOREPLICAS|OOM|MISCONF|NOAUTH|WRONGPASS|NOPERM) /
const REDIS = new Set(['MaxRetriesPerRequestError', 'ClusterAllFailedError'])

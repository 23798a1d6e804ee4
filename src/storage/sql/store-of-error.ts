import { isNativeError } from 'node:util/types'
import type pg from 'pg'
import { sqlState } from './database.js'

/** The name of a store in logs. */
export type StoreName = 'PostgreSQL' | 'Redis'

/** Errors of connections to PostgreSQL: the error of a socket does not name its server. */
const ofPostgres = new WeakSet()

const note = (error: unknown): void => {
  if (isNativeError(error)) ofPostgres.add(error)
}

type Connected = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (release?: unknown) => void,
) => void

/** Records the errors of a pool as errors of PostgreSQL, so that `storeOf` can name the store. */
export const nameErrorsOf = (pool: pg.Pool): void => {
  const connect = pool.connect.bind(pool)
  const connectNoting = async (): Promise<pg.PoolClient> =>
    connect().catch((error: unknown) => {
      note(error)
      throw error
    })
  // `pool.query` of pg connects with a callback.
  pool.connect = ((callback?: Connected) => {
    if (!callback) return connectNoting()
    connect((error, ...connected) => {
      note(error)
      callback(error, ...connected)
    })
    return undefined
  }) as pg.Pool['connect']
  pool.on('connect', (client) => client.on('error', note))
}

/** The SQLSTATEs with which PostgreSQL reports that it is unavailable. */
export const SERVER_UNAVAILABLE = /^(08|53|57P|58)[0-9A-Z]*$|^25006$/
/** Error messages of pg for a server that does not answer. */
export const POSTGRES_UNAVAILABLE =
  /Query read timeout|Connection terminated|timeout exceeded when trying to connect|not queryable/
/** Error messages of ioredis and Redis if the server does not answer or accepts no writes. */
export const REDIS_UNAVAILABLE =
  /Connection is closed|Command timed out|Stream isn't writeable|\b(?:LOADING|BUSY|CLUSTERDOWN|MASTERDOWN|READONLY|TRYAGAIN|NOREPLICAS|OOM|MISCONF|NOAUTH|WRONGPASS|NOPERM) /
const REDIS_NAMES: ReadonlySet<string> = new Set(['MaxRetriesPerRequestError', 'ClusterAllFailedError', 'ReplyError'])

/** The store that an error reports as unavailable; undefined for any other error. Does not look at the `cause` of the error. */
export const storeOf = (error: unknown): StoreName | undefined => {
  if (!isNativeError(error)) return undefined
  if (ofPostgres.has(error) || SERVER_UNAVAILABLE.test(sqlState(error) ?? '')) return 'PostgreSQL'
  if (REDIS_NAMES.has(error.name)) return 'Redis'
  // The drivers throw plain errors; errors of other kinds may quote any text.
  if (error.constructor.name !== 'Error') return undefined
  if (POSTGRES_UNAVAILABLE.test(error.message)) return 'PostgreSQL'
  return REDIS_UNAVAILABLE.test(error.message) ? 'Redis' : undefined
}

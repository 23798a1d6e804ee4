import { isNativeError } from 'node:util/types'
import type pg from 'pg'
import { sqlState } from './database.js'

/** A store, as a log names it. */
export type StoreName = 'PostgreSQL' | 'Redis'

/** Errors of connections to PostgreSQL: one of a socket does not say what was connected to. */
const ofPostgres = new WeakSet()

const note = (error: unknown): void => {
  if (isNativeError(error)) ofPostgres.add(error)
}

type Connected = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (release?: unknown) => void,
) => void

/** Notes of which store the errors of a pool are, so that `storeOf` can name it. */
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

/** The SQLSTATEs with which PostgreSQL says that it does not work at the moment. */
export const SERVER_AWAY = /^(08|53|57P|58)[0-9A-Z]*$|^25006$/
/** What pg says of a server that does not answer. */
export const POSTGRES_AWAY =
  /Query read timeout|Connection terminated|timeout exceeded when trying to connect|not queryable/
/** What ioredis and Redis say if the server does not answer, or takes nothing at the moment. */
export const REDIS_AWAY =
  /Connection is closed|Command timed out|Stream isn't writeable|\b(?:LOADING|BUSY|CLUSTERDOWN|MASTERDOWN|READONLY|TRYAGAIN|NOREPLICAS|OOM|MISCONF|NOAUTH|WRONGPASS|NOPERM) /
const REDIS_NAMES: ReadonlySet<string> = new Set(['MaxRetriesPerRequestError', 'ClusterAllFailedError', 'ReplyError'])

/** The store that does not answer, or takes nothing at the moment; undefined for any other error. Errors behind it (`cause`) are not looked at. */
export const storeOf = (error: unknown): StoreName | undefined => {
  if (!isNativeError(error)) return undefined
  if (ofPostgres.has(error) || SERVER_AWAY.test(sqlState(error) ?? '')) return 'PostgreSQL'
  if (REDIS_NAMES.has(error.name)) return 'Redis'
  // The drivers throw plain errors; errors of other kinds may quote any text.
  if (error.constructor.name !== 'Error') return undefined
  if (POSTGRES_AWAY.test(error.message)) return 'PostgreSQL'
  return REDIS_AWAY.test(error.message) ? 'Redis' : undefined
}

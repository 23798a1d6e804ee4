import { isNativeError } from 'node:util/types'
import type pg from 'pg'
import { sqlState } from './database.js'

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

/** Records the errors of a pool as errors of PostgreSQL, so that logs can name the store. */
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
const SERVER_UNAVAILABLE = /^(08|53|57P|58)[0-9A-Z]*$|^25006$/
/** Whether PostgreSQL itself answered that it is unavailable. */
export const isServerUnavailable = (error: Error): boolean => SERVER_UNAVAILABLE.test(sqlState(error) ?? '')

/** Error messages of pg for a server that does not answer. */
const UNAVAILABLE = /Query read timeout|Connection terminated|timeout exceeded when trying to connect|not queryable/
/** Whether a plain error of pg reports that the server does not answer. */
export const reportsNoPostgres = ({ message }: Error): boolean => UNAVAILABLE.test(message)

/** Whether an error came from a connection to PostgreSQL. */
export const isOfPostgres = (error: Error): boolean => ofPostgres.has(error)

import type { PGlite } from '@electric-sql/pglite'
import { createPgConfig } from '@electric-sql/pglite/node-postgres'
import pg from 'pg'
import { surviveLostConnections } from '../sql/database.js'

/**
 * A pool of the one session of an embedded database. The session never ends: PGlite's adapter for the driver breaks if its
 * client is replaced.
 */
export const createEmbeddedPool = (embedded: PGlite): pg.Pool => {
  const config = createPgConfig(embedded)
  surviveFailedMessages(config.connection)
  const pool = new pg.Pool(Object.assign({ max: 1, idleTimeoutMillis: 0 }, config))
  surviveLostConnections(pool)
  return pool
}

/**
 * A statement is several messages. If one of them fails, the driver ends the connection, which removes its listeners, and the
 * following messages fail, too. Without a listener, each of these errors would become an unhandled rejection and end the process.
 */
const surviveFailedMessages = (connection: ReturnType<typeof createPgConfig>['connection']): void => {
  const end = connection.end.bind(connection)
  connection.end = () => {
    end()
    connection.on('error', () => undefined)
  }
}

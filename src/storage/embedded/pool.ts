import type { PGlite } from '@electric-sql/pglite'
import { createPgConfig } from '@electric-sql/pglite/node-postgres'
import pg from 'pg'
import { surviveLostConnections } from '../sql/database.js'

/**
 * A pool of the one session of an embedded database. The session is held for ever: PGlite's adapter for the driver breaks when its client
 * is thrown away and made anew.
 */
export const createEmbeddedPool = (embedded: PGlite): pg.Pool => {
  const config = createPgConfig(embedded)
  surviveFailedMessages(config.connection)
  const pool = new pg.Pool(Object.assign({ max: 1, idleTimeoutMillis: 0 }, config))
  surviveLostConnections(pool)
  return pool
}

/**
 * A statement is several messages. If the database fails at one of them, the driver ends the connection, which removes its listeners, and
 * those behind it fail, too. Without a listener each error would be thrown, in a promise that has no handler: that ends the process.
 */
const surviveFailedMessages = (connection: ReturnType<typeof createPgConfig>['connection']): void => {
  const end = connection.end.bind(connection)
  connection.end = () => {
    end()
    connection.on('error', () => undefined)
  }
}

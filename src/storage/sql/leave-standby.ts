import type { EventEmitter } from 'node:events'
import type pg from 'pg'

/** A standby, or a server that became one, refuses each write with this SQLSTATE (read_only_sql_transaction). */
const READ_ONLY = '25006'

type Opened = pg.PoolClient & Pick<pg.Client, 'end'> & { connection: EventEmitter }

/**
 * After a write was refused as read-only, closes all connections that were open at that time: idle ones at once, others when
 * their work ends. The server's address may lead to the new primary by now, but an open connection stays with the standby, and
 * would read its outdated data.
 * @param pools whose statements never start a read-only transaction and then write in it
 */
export const leaveStandby = (pools: readonly pg.Pool[]): void => {
  const idle = new Set<pg.PoolClient>()
  const busy = new Set<pg.PoolClient>()
  const rejected = new WeakSet<pg.PoolClient>()
  const rejectAll = (): void => {
    for (const client of busy) rejected.add(client)
    // The pool drops an idle connection that emits an error.
    for (const client of [...idle]) client.emit('error', new Error('the server became read-only'))
  }
  for (const pool of pools) {
    pool.on('connect', (client) => {
      ;(client as Opened).connection.on('errorMessage', ({ code }: { code?: string }) => {
        // An error on a rejected connection shows nothing about newer connections.
        if (code === READ_ONLY && !rejected.has(client)) rejectAll()
      })
    })
    pool.on('acquire', (client) => {
      idle.delete(client)
      busy.add(client)
    })
    pool.on('release', (_error, client) => {
      busy.delete(client)
      // The pool does not reuse a connection that is being closed.
      if (rejected.has(client)) (client as Opened).end().catch(() => undefined)
      else idle.add(client)
    })
    pool.on('remove', (client) => {
      idle.delete(client)
      busy.delete(client)
    })
  }
}

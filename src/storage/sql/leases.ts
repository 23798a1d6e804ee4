import { sql, type RawBuilder } from 'kysely'
import { MOST_AHEAD_SECONDS } from '../../runtime/clock-ahead.js'
import { deleteSome } from './batched.js'
import type { Database } from './database.js'
import { UserError } from '../../runtime/user-error.js'

/** Another process does the same work now. Later the lease may be free, or the work may be done. */
export class LeaseTaken extends UserError {
  override readonly kind = 'conflict'
}

/** A lease of this process. It is renewed until it is released. */
export type Lease = { release: () => Promise<void> }

/** Renewals during the time of a lease: a few failed renewals in a row do not lose the lease. */
const RENEWALS = 4

/**
 * Takes a lease: at most one holder at a time across all processes on one database, by the database's clock. The holder may
 * take the lease again, which prolongs it.
 * @returns whether the lease was taken
 */
export const takeLease = async (
  database: Database,
  name: string,
  holder: string,
  seconds: number,
): Promise<boolean> => {
  const { rows } = await sql`
    insert into leases (name, holder, until) values (${name}, ${holder}, now() + ${seconds} * interval '1 second')
    on conflict (name) do update set holder = excluded.holder, until = excluded.until
      where leases.until < now() or leases.holder = excluded.holder
        -- The clock was ahead when its holder took it, and ended. A living holder may lose it if the database's clock is set back by more.
        or leases.until > now() + ${seconds + MOST_AHEAD_SECONDS} * interval '1 second'
    returning name
  `.execute(database.sql)
  return rows.length > 0
}

/** Unlike `takeLease`, does not take a lease that was released in the meantime. @returns whether the lease is still this holder's */
const renewLease = async (database: Database, name: string, holder: string, seconds: number): Promise<boolean> => {
  const { rows } = await sql`
    update leases set until = now() + ${seconds} * interval '1 second' where name = ${name} and holder = ${holder}
    returning name
  `.execute(database.sql)
  return rows.length > 0
}

/** Releases a lease, so that other processes need not wait until it expires. */
export const releaseLease = async (database: Database, name: string, holder: string): Promise<void> => {
  await sql`delete from leases where name = ${name} and holder = ${holder}`.execute(database.sql)
}

/**
 * Takes a lease and renews it until it is released, however long the work takes. If the process dies, the lease expires.
 * @param seconds how long another process waits for the lease of a process that died
 * @param onLost is called if another process has taken the lease, because it could not be renewed in time
 * @returns undefined if another holder has the lease
 */
export const holdLease = async (
  database: Database,
  name: string,
  { holder, seconds, onLost }: { holder: string; seconds: number; onLost?: () => void },
): Promise<Lease | undefined> => {
  if (!(await takeLease(database, name, holder, seconds))) return undefined
  const renewal = setInterval(
    () => {
      // The work itself fails if the database is unavailable.
      void renewLease(database, name, holder, seconds).then(
        (isRenewed) => {
          if (!isRenewed) onLost?.()
        },
        () => undefined,
      )
    },
    (seconds * 1000) / RENEWALS,
  )
  renewal.unref()
  return {
    release: async () => {
      clearInterval(renewal)
      // If the database is unavailable, the lease expires.
      await releaseLease(database, name, holder).catch(() => undefined)
    },
  }
}

/** A step that deletes expired leases. */
export const deleteExpiredLeases = (): RawBuilder<unknown> =>
  deleteSome('leases', sql`until < now() - interval '1 day'`)

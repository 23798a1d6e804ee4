import { sql } from 'kysely'
import { MOST_AHEAD_SECONDS } from '../../runtime/clock-ahead.js'
import type { Database } from './database.js'

/** Another process does the same work now. Later it may be free, or need not be done any more. */
export class LeaseTaken extends Error {}

/** A lease that this process has. It is renewed until it is released. */
export type Lease = { release: () => Promise<void> }

/** Renewals while a lease lasts: a process that cannot renew it a few times in a row still has it. */
const RENEWALS = 4

/**
 * Takes a lease: at most one holder at a time across all processes on one database, by the database's clock. Whoever holds
 * it may take it again, which prolongs it.
 * @returns whether it was taken.
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

/** Unlike `takeLease`, does not take again what was released while the statement was on its way. @returns whether it is ours */
const renewLease = async (database: Database, name: string, holder: string, seconds: number): Promise<boolean> => {
  const { rows } = await sql`
    update leases set until = now() + ${seconds} * interval '1 second' where name = ${name} and holder = ${holder}
    returning name
  `.execute(database.sql)
  return rows.length > 0
}

/** Gives a lease back, so that no process has to wait for its end. */
export const releaseLease = async (database: Database, name: string, holder: string): Promise<void> => {
  await sql`delete from leases where name = ${name} and holder = ${holder}`.execute(database.sql)
}

/**
 * Takes a lease and renews it until it is released, however long the work takes. Should the process die, the lease ends by
 * itself.
 * @param seconds how long another process waits for the lease of a process that died
 * @param onLost is called when another process has taken it, because it could not be renewed in time
 * @returns undefined if another holder has it
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
      // Of a database that is unavailable, the lease ends by itself.
      await releaseLease(database, name, holder).catch(() => undefined)
    },
  }
}

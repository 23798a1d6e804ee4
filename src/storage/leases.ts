import { sql } from 'kysely'
import type { Database } from './database.js'

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
    returning name
  `.execute(database.sql)
  return rows.length > 0
}

/** Gives a lease back, so that nobody has to wait for its end. */
export const releaseLease = async (database: Database, name: string, holder: string): Promise<void> => {
  await sql`delete from leases where name = ${name} and holder = ${holder}`.execute(database.sql)
}

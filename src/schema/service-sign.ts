import { sql } from 'kysely'
import type { Database, Sql } from '../storage/sql/database.js'

/** The row of `leases` whose `until` is when a service last gave a sign. It is no lease: each service writes it. */
const NAME = 'sign of a service'

/** Records, by the clock of the database, that a service runs on it now. */
export const writeServiceSign = async (database: Database, holder: string): Promise<void> => {
  await sql`
    insert into leases (name, holder, until) values (${NAME}, ${holder}, now())
    on conflict (name) do update set holder = excluded.holder, until = excluded.until
  `.execute(database.sql)
}

/** How many seconds ago a service gave its newest sign; undefined if none did in the last day. */
export const readServiceSign = async (db: Sql): Promise<number | undefined> => {
  const { rows } = await sql<{ seconds: number }>`
    select extract(epoch from now() - until)::float8 as seconds from leases where name = ${NAME}
  `.execute(db)
  return rows[0] && Math.max(0, Math.round(rows[0].seconds))
}

import { sql } from 'kysely'
import type { Database, Sql } from '../storage/sql/database.js'

/** The row of `leases` whose `until` is the time of the newest heartbeat of a service. It is no lease: each service writes it. */
const NAME = 'sign of a service'

/** Records a heartbeat of a service on this database, by the database's clock. */
export const writeServiceHeartbeat = async (database: Database, holder: string): Promise<void> => {
  await sql`
    insert into leases (name, holder, until) values (${NAME}, ${holder}, now())
    on conflict (name) do update set holder = excluded.holder, until = excluded.until
  `.execute(database.sql)
}

/** The age in seconds of the newest heartbeat; undefined if there was no heartbeat in the last day. */
export const readServiceHeartbeat = async (db: Sql): Promise<number | undefined> => {
  const { rows } = await sql<{ seconds: number }>`
    select extract(epoch from now() - until)::float8 as seconds from leases where name = ${NAME}
  `.execute(db)
  return rows[0] && Math.max(0, Math.round(rows[0].seconds))
}

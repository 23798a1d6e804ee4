import { sql } from 'kysely'
import type { Database, Sql } from './database.js'

/**
 * The embedded database rewrites up to about 100 MB a second and answers no other statement meanwhile: it rewrites a larger table
 * before the service answers its first request. On PostgreSQL autovacuum treats a larger table.
 */
const LARGEST_BYTES = 32 * 1024 * 1024

/** Segments that an earlier version recycled are at most this many: `max_wal_size` is 1 GB, a segment 16 MB. */
const MOST_SEGMENTS = 100

/**
 * `Database.eraseTraces` of the embedded database. `delete` and `update` leave the old row in its page, and vacuum leaves the
 * bytes, so a table is written to a new file; the write-ahead log so far is removed.
 */
export const eraseTracesOn =
  (db: Sql): Database['eraseTraces'] =>
  async (tables) => {
    const large = await eachSmall(db, tables, async (table) => rewrite(db, table))
    await sql`insert into pending_rewrites select unnest(${large}::text[]) on conflict do nothing`.execute(db)
    await discardLog(db)
    return large
  }

/**
 * Rewrites the tables that were too large to be rewritten while the service ran. To be called before it answers requests.
 * @returns their names
 */
export const rewritePending = async (db: Sql): Promise<string[]> => {
  const { rows } = await sql<{ name: string }>`
    select name from pending_rewrites where to_regclass(name) is not null order by name
  `.execute(db)
  for (const { name } of rows) await rewrite(db, name)
  if (rows.length > 0) await discardLog(db)
  return rows.map(({ name }) => name)
}

const rewrite = async (db: Sql, table: string): Promise<void> => {
  await sql`vacuum full ${sql.table(table)}`.execute(db)
  await sql`delete from pending_rewrites where name = ${table}`.execute(db)
}

/**
 * Removes all segments of the write-ahead log but the one that is written to. The database runs with `wal_recycle=off`; segments
 * that were recycled without that setting contain old text until they are written to, so each of them is filled.
 */
export const discardLog = async (db: Sql): Promise<void> => {
  // A replication slot, which nothing here uses, would keep all segments.
  await sql`select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active`.execute(db)
  for (let n = 0; n < MOST_SEGMENTS; n++) {
    // At the start of a segment, a switch does nothing.
    await sql`select pg_logical_emit_message(false, 'tallyman', 'switch')`.execute(db)
    const { rows: recycled } = await sql`
      select from pg_ls_waldir()
      where name ~ '^[0-9A-F]{24}$' and name > pg_walfile_name(pg_current_wal_insert_lsn()) limit 1
    `.execute(db)
    await sql`select pg_switch_wal()`.execute(db)
    if (recycled.length === 0) break
  }
  await sql`checkpoint`.execute(db)
}

/**
 * `Database.eraseTraces` of a PostgreSQL server: frees the pages, whose bytes stay until something else is written there
 * (docs/operations.md, "What deleting leaves behind").
 */
export const vacuumOn =
  (db: Sql): Database['eraseTraces'] =>
  async (tables) =>
    eachSmall(db, tables, async (table) => {
      await sql`vacuum ${sql.table(table)}`.execute(db)
    })

/** @returns the tables that are too large */
const eachSmall = async (
  db: Sql,
  tables: readonly string[],
  work: (table: string) => Promise<void>,
): Promise<string[]> => {
  const large: string[] = []
  for (const table of tables) {
    const { rows } = await sql<{ bytes: string }>`select pg_total_relation_size(${table}::regclass) as bytes`.execute(
      db,
    )
    if (Number(rows[0]?.bytes) > LARGEST_BYTES) large.push(table)
    else await work(table)
  }
  return large
}

import { sql } from 'kysely'
import type { Database, Sql } from './database.js'
import { clearMark, markErasure, readMark } from './erasure-marks.js'
import type { HasSpace } from '../../runtime/free-space.js'

/**
 * The embedded database rewrites up to about 100 MB a second and answers no other statement meanwhile: it rewrites a larger table
 * before the service answers its first request. On PostgreSQL autovacuum treats a larger table.
 */
const LARGEST_BYTES = 32 * 1024 * 1024

/** Segments that an earlier version recycled are at most this many: `max_wal_size` is 1 GB, a segment 16 MB. */
const MOST_SEGMENTS = 100
const SEGMENT_BYTES = 16 * 2 ** 20

/**
 * `Database.eraseTraces` of the embedded database. `delete` and `update` leave the old row in its page, and vacuum leaves the
 * bytes. So a table is written to a new file, and the existing segments of the write-ahead log are removed. The pending work is
 * recorded first, so that the next start does what this process could not do.
 */
export const eraseTracesOn =
  (db: Sql, hasSpace: HasSpace): Database['eraseTraces'] =>
  async (tables) => {
    await sql`insert into pending_rewrites select unnest(${tables}::text[]) on conflict do nothing`.execute(db)
    await markErasure(db, ['log'])
    const isSmall = (bytes: number): boolean => bytes <= LARGEST_BYTES && hasSpaceToRewrite(hasSpace, bytes)
    const left = await eachSmall(db, tables, isSmall, async (table) => rewrite(db, table))
    await discardMarkedLog(db, hasSpace)
    return left
  }

/**
 * Rewrites the tables that were too large to be rewritten while the service ran. To be called before it answers requests. A table
 * without space for its copy, or whose rewrite fails, stays pending; dumps that contain the rows of a table are marked before the
 * table is rewritten.
 */
export const rewritePending = async (db: Sql, hasSpace: HasSpace): Promise<void> => {
  await sql`delete from pending_rewrites where to_regclass(name) is null`.execute(db)
  const isSmall = (bytes: number): boolean => hasSpaceToRewrite(hasSpace, bytes)
  const failures: unknown[] = []
  await eachSmall(db, await readPendingRewrites(db), isSmall, async (table) => {
    await markErasure(db, ['log', 'dumps'])
    await rewrite(db, table).catch((error: unknown) => failures.push(error))
  })
  if (failures.length > 0) throw failures[0]
}

/** The tables whose files still contain deleted rows. */
export const readPendingRewrites = async (db: Sql): Promise<string[]> => {
  const { rows } = await sql<{ name: string }>`select name from pending_rewrites order by name`.execute(db)
  return rows.map(({ name }) => name)
}

/** Space for the copy of a table, and for the same data in the write-ahead log. */
const hasSpaceToRewrite = (hasSpace: HasSpace, bytes: number): boolean => hasSpace(2 * bytes)

const rewrite = async (db: Sql, table: string): Promise<void> => {
  await sql`vacuum full ${sql.table(table)}`.execute(db)
  await sql`delete from pending_rewrites where name = ${table}`.execute(db)
}

/** Discards the write-ahead log if it may contain erased rows, and if there is space for a new segment. */
export const discardMarkedLog = async (db: Sql, hasSpace: HasSpace): Promise<void> => {
  const number = await readMark(db, 'log')
  if (number === undefined || !hasSpace(2 * SEGMENT_BYTES)) return
  await discardLog(db)
  await clearMark(db, 'log', number)
}

/**
 * Removes all segments of the write-ahead log but the one that is written to. The database runs with `wal_recycle=off`; segments
 * that were recycled without that setting contain old text until they are written to, so each of them is filled.
 */
const discardLog = async (db: Sql): Promise<void> => {
  // A replication slot would keep all segments. Tallyman uses none.
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
 * `Database.eraseTraces` of a PostgreSQL server: frees the space in pages, whose bytes stay until PostgreSQL overwrites them
 * (docs/operations.md, "What deleting leaves behind").
 */
export const vacuumOn =
  (db: Sql): Database['eraseTraces'] =>
  async (tables) =>
    eachSmall(
      db,
      tables,
      (bytes) => bytes <= LARGEST_BYTES,
      async (table) => {
        await sql`vacuum ${sql.table(table)}`.execute(db)
      },
    )

/** @returns the tables that are not small enough */
const eachSmall = async (
  db: Sql,
  tables: readonly string[],
  isSmall: (bytes: number) => boolean,
  work: (table: string) => Promise<void>,
): Promise<string[]> => {
  const large: string[] = []
  for (const table of tables) {
    const { rows } = await sql<{ bytes: string }>`select pg_total_relation_size(${table}::regclass) as bytes`.execute(
      db,
    )
    if (isSmall(Number(rows[0]?.bytes))) await work(table)
    else large.push(table)
  }
  return large
}

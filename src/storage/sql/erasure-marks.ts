import { sql } from 'kysely'
import type { Sql } from './database.js'

/** Files of the embedded database outside its tables: the write-ahead log, and the dumps. */
type Marked = 'log' | 'dumps'

/**
 * Records that files may contain rows that are about to be erased. If this process ends before it replaced the files, a later start
 * replaces them. To be committed before the erasure, or with it.
 */
export const markErasure = async (db: Sql, what: readonly Marked[]): Promise<void> => {
  await sql`
    insert into erasure_marks as m (what) select unnest(${what}::text[])
    on conflict (what) do update set number = m.number + 1, restored_at = null
  `.execute(db)
}

/** Marks the log, unless the schema is older than marks: the migration that creates them marks the log itself. */
export const markLogIfPossible = async (db: Sql): Promise<void> => {
  const { rows } = await sql`select where to_regclass('erasure_marks') is not null`.execute(db)
  if (rows.length > 0) await markErasure(db, ['log'])
}

/**
 * Limits the marks that a restored dump contained: later dumps contain no erased rows. A mark of an earlier restore stays as it is.
 * @param restoredAt the time of the restored state
 */
export const limitMarks = async (db: Sql, restoredAt: Date): Promise<void> => {
  await sql`
    update erasure_marks set restored_at = ${restoredAt} where what = 'dumps' and restored_at is null
  `.execute(db)
}

/** @returns the time of a state that was restored with its mark; undefined if each dump may contain erased rows */
export const readRestoredAt = async (db: Sql): Promise<Date | undefined> => {
  const { rows } = await sql<{ at: Date | null }>`
    select restored_at as at from erasure_marks where what = 'dumps'
  `.execute(db)
  return rows[0]?.at ?? undefined
}

/** @returns the number of a mark, which each erasure increases; undefined if the files contain nothing that was erased */
export const readMark = async (db: Sql, what: Marked): Promise<string | undefined> => {
  const { rows } = await sql<{ number: string }>`
    select number::text as number from erasure_marks where what = ${what}
  `.execute(db)
  return rows[0]?.number
}

/** Removes a mark, unless an erasure began after its number was read. */
export const clearMark = async (db: Sql, what: Marked, number: string | undefined): Promise<void> => {
  if (number === undefined) return
  await sql`delete from erasure_marks where what = ${what} and number = ${number}::bigint`.execute(db)
}

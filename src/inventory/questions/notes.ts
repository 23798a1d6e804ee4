import { sql } from 'kysely'
import type { Sql } from '../../storage/database.js'
import type { Asked, Question } from './question.js'
import { placedIn } from './sql-parts.js'

/** A row of a statement has this beside its columns if no push of it is known. */
export const IS_PUSH_UNKNOWN = 'is_push_unknown'

/** A sentence for answers that have the time when something was first seen in the place of a push. */
export const unknownPushNotes = (rows: readonly Record<string, unknown>[]): string[] =>
  rows.some((row) => row[IS_PUSH_UNKNOWN] === true)
    ? [
        'no push is known of some rows in this answer: pushed_at of these is when they were first seen, and uses before that are unknown',
      ]
    : []

/** A sentence for a question about one object that a known repository does not have. */
export const unknownObjectNotes = ({ object }: Question, asked: Asked, rows: readonly unknown[]): string[] =>
  object === undefined || rows.length > 0 || asked.repository_ids === ''
    ? []
    : [`no manifest is known for "${asked[object] ?? ''}" in ${asked.repository ?? ''}; check the spelling`]

/** A sentence for questions that list what a delete left only after some time, if something was deleted lately. */
export const recentDeleteNotes = async (db: Sql, { afterDelete }: Question, asked: Asked): Promise<string[]> => {
  if (!afterDelete || asked.unused_for !== undefined) return []
  const { days, leftOut } = afterDelete
  const { rows } = await sql`
    select from inventory.changes c
    where c.action <> 'push' and c.at > ${asked.now}::timestamptz - ${days} * interval '1 day'
      and ${placedIn(sql`c.repository_id`, asked)}
    limit 1
  `.execute(db)
  return rows.length === 0
    ? []
    : [`something was deleted in the last ${days === 1 ? '24 hours' : `${days} days`}: ${leftOut}`]
}

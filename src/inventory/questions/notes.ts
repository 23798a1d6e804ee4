import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { MOVES } from '../model/moving.js'
import type { QueryParameters, Question } from './question.js'
import { isSelected } from './sql-parts.js'

/** Rows of a statement have this column in addition: no push of the row is known. */
export const IS_PUSH_UNKNOWN = 'is_push_unknown'

/** A sentence for answers in which pushed_at is the time when something was first seen. */
export const unknownPushNotes = (rows: readonly Record<string, unknown>[]): string[] =>
  rows.some((row) => row[IS_PUSH_UNKNOWN] === true)
    ? [
        'no push is known of some rows in this answer: pushed_at of these is when they were first seen, and uses before that are unknown',
      ]
    : []

/** A sentence for a question about one object that a known repository does not have. */
export const unknownObjectNotes = ({ object }: Question, query: QueryParameters, rows: readonly unknown[]): string[] =>
  object === undefined || rows.length > 0 || query.repository_ids === ''
    ? []
    : [`no manifest is known for "${query[object] ?? ''}" in ${query.repository ?? ''}; check the spelling`]

/** A sentence for questions that list the effects of a delete only after some time, if something was deleted recently. */
export const recentDeleteNotes = async (
  db: Sql,
  { afterDelete }: Question,
  query: QueryParameters,
): Promise<string[]> => {
  if (!afterDelete || query.unused_for !== undefined) return []
  const { days, leftOut } = afterDelete
  const { rows } = await sql`
    select from inventory.changes c
    where c.action <> 'push' and c.at > ${query.now}::timestamptz - ${days} * interval '1 day'
      and ${isSelected(sql`c.repository_id`, query)}
    limit 1
  `.execute(db)
  return rows.length === 0
    ? []
    : [`something was deleted in the last ${days === 1 ? '24 hours' : `${days} days`}: ${leftOut}`]
}

/** The most moves that are named. There are more only after a process was killed, or while moves fail. */
const MOST_MOVES = 3

/** A sentence for each unfinished move of the repositories in the query. */
export const openMoveNotes = async (db: Sql, query: QueryParameters): Promise<string[]> => {
  const { prefix } = query
  const isWanted = (repository: string): RawBuilder<unknown> => sql`(
    ${isSelected(sql.ref(`${repository}.id`), query)}
    and ${prefix === undefined ? sql`true` : sql`starts_with(${sql.ref(`${repository}.name`)}, ${prefix})`}
  )`
  const { rows } = await sql<{ from: string; to: string }>`
    select source.registry || '/' || source.name as from, to_path as to
    from ${MOVES} moves
      join inventory.repositories source on source.id = from_id
      left join inventory.repositories target on target.id = to_id
    where ${isWanted('source')} or ${isWanted('target')}
    order by from_id limit ${MOST_MOVES}
  `.execute(db)
  return rows.map(
    ({ from, to }) =>
      `${from} is being moved to ${to}: until that is done, each has a part of what belongs together, and neither is in a list of what is unused, orphaned or missing`,
  )
}

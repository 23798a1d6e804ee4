import { sql, type RawBuilder } from 'kysely'
import { utcDay, type Micros } from '../events/calendar.js'
import { deleteSome, ROWS_AT_ONCE } from '../storage/sql/batched.js'
import type { Database, Sql } from '../storage/sql/database.js'
import { isResolved, nameOfUnresolved, UNRESOLVED, type Contribution } from './contributions.js'
import { HAS_UNRESOLVED } from './unresolved-in-repositories.js'

/** Stored instead of an event: the contributions of the person are in the table `repositories`. */
export const IN_REPOSITORIES = ''

/** Stores the contributions of unresolved users until the user directory answers. Other contributions are ignored. */
export const keepUnresolved = async (
  tx: Sql,
  contributions: readonly (Contribution & { at: Micros })[],
): Promise<void> => {
  const unresolved = contributions.filter((contribution) => !isResolved(contribution))
  if (unresolved.length === 0) return
  await sql`
    insert into unresolved_users (name, event, day)
    select distinct * from unnest(
      ${unresolved.map(({ member }) => nameOfUnresolved(member))}::text[],
      ${unresolved.map(({ event }) => event)}::text[],
      ${unresolved.map(({ at }) => utcDay(at))}::date[]
    ) as waiting (name, event, day)
    order by name, event, day
    on conflict do nothing
  `.execute(tx)
}

/** The number of unresolved users. */
export const countUnresolved = async (database: Database): Promise<number> => {
  const { rows } = await sql<{ count: string }>`select count(distinct name) from unresolved_users`.execute(database.sql)
  return Number(rows[0]?.count ?? 0)
}

/** A JSON path: the contributions of resolved users. */
const RESOLVED_ONES = `$[*] ? (!(@.member starts with "${UNRESOLVED}"))`

/**
 * Steps that delete names in clear text when the weekly sketches that would count their users expire. They read only rows that
 * contain such a name.
 * @param from the first UTC day whose names are kept
 */
export const deleteExpiredNames = (from: string): RawBuilder<unknown>[] => [
  deleteSome('unresolved_users', sql`day < ${from}::date`),
  sql`
    update repositories
    set if_first = jsonb_path_query_array(if_first, ${RESOLVED_ONES}::jsonpath),
        if_known = jsonb_path_query_array(if_known, ${RESOLVED_ONES}::jsonpath)
    where ctid = any(array(
      select ctid from repositories
      where first_at < ${`${from}T00:00:00Z`}::timestamptz and ${HAS_UNRESOLVED}
      limit ${ROWS_AT_ONCE}
    )) and ${HAS_UNRESOLVED}
  `,
]

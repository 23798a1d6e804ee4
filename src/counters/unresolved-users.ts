import { sql } from 'kysely'
import { utcDay, type Micros } from '../events/calendar.js'
import type { Database, Sql } from '../storage/sql/database.js'
import { isResolved, type Contribution } from './contributions.js'

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
      ${unresolved.map(({ member }) => member.slice(1))}::text[],
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

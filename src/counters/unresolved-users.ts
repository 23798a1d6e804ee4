import { sql } from 'kysely'
import { utcDay, type Micros } from '../events/calendar.js'
import type { Database, Sql } from '../storage/sql/database.js'
import { isResolved, type Contribution } from './additions.js'

/** In the place of an event: what the person is counted for stands in the table of repositories. */
export const IN_REPOSITORIES = ''

/** Keeps contributions of people whose id could not be asked for, until it can. Contributions of others are left out. */
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

/** How many people wait. */
export const countUnresolved = async (database: Database): Promise<number> => {
  const { rows } = await sql<{ count: string }>`select count(distinct name) from unresolved_users`.execute(database.sql)
  return Number(rows[0]?.count ?? 0)
}

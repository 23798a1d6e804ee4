import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { isoText } from '../../storage/sql/moments.js'
import { withUnknownRequests, type Undecided } from '../model/undecided.js'
import type { QueryParameters } from './question.js'
import { isSelected } from './sql-parts.js'

/** The largest number of repositories that notes name. */
const MOST_NAMED = 3

/** Notes about the repositories of a query that the answer leaves out because of such requests; none if there are none. */
export const undecidedNotes = async (db: Sql, query: QueryParameters, undecided: Undecided): Promise<string[]> => {
  const { rows } = await sql<{ name: string; at: string | null }>`
    select x.registry || '/' || x.name as name,
      ${isoText(sql`greatest(x.undecided_at, (select max(t.undecided_at) from inventory.tags t where t.repository_id = x.id and t.undecided_at is not null))`)} as at
    from inventory.repositories x
    where x.id = any(array${withUnknownRequests(undecided, (id) => isSelected(id, query))})
    order by x.id limit ${MOST_NAMED + 1}
  `.execute(db)
  return [
    ...rows
      .slice(0, MOST_NAMED)
      .map(
        ({ name, at }) =>
          `an event of ${name} at ${at ?? ''} does not show which manifest or blob it is about: that may be any of them, so this answer leaves out the repository; let the sender report digests and URLs, and run "tallyman inventory reconcile --apply" if tags were pushed without them`,
      ),
    ...(rows.length > MOST_NAMED ? ['the same is true of more repositories'] : []),
  ]
}

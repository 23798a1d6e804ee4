import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { SETTLED_OUTCOMES } from './outcomes-table.js'

/** The columns of pulls.outcomes. */
const COLUMNS = sql.raw(
  [
    ...[
      'id',
      'what',
      'at',
      'registry',
      'repository',
      'origin',
      'endpoint',
      'source',
      'by_tag',
      'tag',
      'digest',
      'gets',
    ],
    ...['platform', 'platform_from', 'platform_pulls', 'layers', 'bytes', 'starts_session', 'shows_blobs', 'client'],
    ...['client_version', 'kind', 'os', 'arch', 'country', 'network', 'network_kind', 'signed_in'],
  ]
    .map((name) => `o.${name}`)
    .join(', '),
)

const SAME = sql.raw('s.registry = o.registry and s.repository = o.repository and s.at = o.at and s.id = o.id')

/**
 * Provisional outcomes `o` that count: they have a request that the fold has not taken. An outcome that began before the end of the
 * fold counts only if it continues a settled outcome. If not, the fold joined its first request to another outcome.
 */
export const VISIBLE = sql`(
  select o.* from provisional.outcomes o join pulls.registries r on r.registry = o.registry
  where o.last_at > r.folded_to
    and (o.at > r.folded_to or exists (select from pulls.outcomes s where ${SAME}))
)`

/**
 * The current outcomes as a table with the columns of pulls.outcomes: settled outcomes, and provisional ones. A provisional outcome
 * replaces the settled outcome that it continues.
 * @param tx the transaction that uses the table, with one snapshot for all statements
 */
export const currentOutcomes = async (tx: Sql): Promise<RawBuilder<unknown>> => {
  const { rows } = await sql<{ since: string | null }>`select min(at)::text as since from ${VISIBLE} o`.execute(tx)
  const since = rows[0]?.since ?? null
  if (since === null) return SETTLED_OUTCOMES
  // Most outcomes are older than every provisional one. Only the newer outcomes are looked up one by one.
  return sql`(
    select ${COLUMNS} from pulls.outcomes o where o.at < ${since}::timestamptz
    union all
    select ${COLUMNS} from pulls.outcomes o
    where o.at >= ${since}::timestamptz and not exists (select from ${VISIBLE} s where ${SAME})
    union all
    select ${COLUMNS} from ${VISIBLE} o
  )`
}

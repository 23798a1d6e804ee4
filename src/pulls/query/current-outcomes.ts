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
 * Provisional outcomes `o` that count: those with a request that the fold has not taken. One that began before the end of the
 * fold goes on with a settled one, else the fold has joined its first request to another.
 */
export const VISIBLE = sql`(
  select o.* from provisional.outcomes o join pulls.registries r on r.registry = o.registry
  where o.last_at > r.folded_to
    and (o.at > r.folded_to or exists (select from pulls.outcomes s where ${SAME}))
)`

/**
 * The table of outcomes as of now, with the columns of pulls.outcomes: settled ones, and provisional ones, which stand in the
 * place of those that they go on with. To be read in the transaction in which the table is used, which sees one moment.
 */
export const currentOutcomes = async (tx: Sql): Promise<RawBuilder<unknown>> => {
  const { rows } = await sql<{ since: string | null }>`select min(at)::text as since from ${VISIBLE} o`.execute(tx)
  const since = rows[0]?.since ?? null
  if (since === null) return SETTLED_OUTCOMES
  // Most outcomes are older than all that is provisional: only the others are looked up one by one.
  return sql`(
    select ${COLUMNS} from pulls.outcomes o where o.at < ${since}::timestamptz
    union all
    select ${COLUMNS} from pulls.outcomes o
    where o.at >= ${since}::timestamptz and not exists (select from ${VISIBLE} s where ${SAME})
    union all
    select ${COLUMNS} from ${VISIBLE} o
  )`
}

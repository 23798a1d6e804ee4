import { sql, type RawBuilder } from 'kysely'
import { isoTime, MICROS_PER_SECOND, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/database.js'
import type { Asked } from './asked.js'
import { leastOf } from './least-pullers.js'
import { conditionsOn, momentsOf } from './filters.js'
import type { Context } from './notes.js'
import { outcomesFor, SETTLED, toldByOutcomes } from './outcomes.js'

/** What of an answer may change yet. */
export type Provisional = {
  /** When the earliest of it began, in UTC. */
  since: string
  /** Pulls and checks in the answer that are not settled; not shown where numbers have to be of a minimum of origins. */
  invocations?: number
  pulls?: number
}

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
const VISIBLE = sql`(
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
  if (since === null) return SETTLED
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

/** What of an answer is provisional; undefined if all of it is settled. */
export const provisionalIn = async (
  tx: Sql,
  asked: Pick<Asked, 'groupBy' | 'filters' | 'period' | 'timeZone'>,
  context: Pick<Context, 'leastPullers'>,
): Promise<Provisional | undefined> => {
  const { from, to } = momentsOf(asked.period, asked.timeZone)
  const conditions = conditionsOn(toldByOutcomes(asked), asked, asked.period)
  const { rows } = await sql<{ since: string | null; invocations: string; pulls: string }>`
    select (extract(epoch from min(o.at)) * 1000000)::bigint::text as since,
      count(*) filter (where o.what = 'invocation') as invocations,
      count(*) filter (where o.what = 'invocation' and o.gets > 0) as pulls
    from ${outcomesFor(asked, VISIBLE)} o
    where ${sql.join([sql`o.at >= ${from}`, sql`o.at < ${to}`, ...conditions], sql` and `)}
  `.execute(tx)
  const [row] = rows
  if (row?.since == null) return undefined
  return {
    since: isoTime(Number(row.since)),
    ...(leastOf(context) === undefined && { invocations: Number(row.invocations), pulls: Number(row.pulls) }),
  }
}

/** A sentence on what of an answer is provisional. */
export const provisionalNotes = (
  provisional: Provisional | undefined,
  { lateness }: { lateness?: Micros },
): string[] => {
  if (!provisional) return []
  const settled =
    lateness === undefined ? '' : `: requests of the last ${lateness / MICROS_PER_SECOND} s may still arrive`
  return [`Numbers since ${provisional.since} are provisional${settled}.`]
}

import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { SHOWN_RUN } from '../model/shown-run.js'
import type { PullsQuery } from './parameters.js'
import { momentsOf } from './filters.js'
import { wholeHours } from './minimum-group-size.js'
import type { PullsContext } from './notes.js'

/**
 * A note on pending requests of the period that no number includes, neither settled nor provisional. Such requests arrived a moment
 * ago, are ahead of the clock, were too many to be shown at once, or no process folds. Requests before the end of the fold are late
 * and not searched: deleted requests left index entries there, and reading these would take long.
 */
export const pendingNotes = async (
  db: Sql,
  { period, timeZone }: PullsQuery,
  context: Pick<PullsContext, 'minimumGroupSize'>,
): Promise<string[]> => {
  const { from, to } = momentsOf(period, timeZone)
  const isIn = sql`p.at >= ${from} and p.at > r.folded_to and p.at < ${to}`
  const { rows } = await sql<{ since: string | null }>`
    with run as (${SHOWN_RUN}),
    not_included as (
      select first.at from run cross join pulls.registries r cross join lateral (
        select min(p.at) as at from pulls.pending p where p.registry = r.registry and ${isIn}
      ) first
      where run.snapshot is null
      union all
      select first.at from run cross join pulls.registries r cross join lateral (
        select min(p.at) as at from pulls.pending p where p.registry = r.registry and p.at > run.shown_to and ${isIn}
      ) first
      union all
      select p.at from run, pulls.pending p left join pulls.registries r on r.registry = p.registry
      where p.xact >= pg_snapshot_xmin(run.snapshot) and not pg_visible_in_snapshot(p.xact, run.snapshot)
        and p.at >= ${from} and p.at > coalesce(r.folded_to, '-infinity') and p.at < ${to}
      union all
      select greatest(h.from_at, r.folded_to, ${from}) from provisional.hidden h
        join pulls.registries r on r.registry = h.registry
      where h.to_at > r.folded_to and h.from_at < ${to} and h.to_at >= ${from}
    )
    select to_char(${wholeHours(context, sql`min(at)`)} at time zone ${timeZone}::text, 'YYYY-MM-DD HH24:MI:SS') as since from not_included
  `.execute(db)
  const since = rows[0]?.since ?? null
  return since === null
    ? []
    : [`Requests since ${since} (${timeZone}) are pending, and not all included in these numbers yet.`]
}

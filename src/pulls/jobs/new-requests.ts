import { sql, type RawBuilder } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/database.js'
import { isCheckBeforePush } from './check-before-push.js'
import type { Shown } from './provisional-run.js'
import { readPending, type PendingRequest, type PendingRow } from '../record/pending.js'

/** What to read, and how many requests at most. */
type Wanted = {
  /** What was read before; undefined for all requests. */
  shown: Shown | undefined
  /** The clock: a request that is ahead of it is read when its time has come. */
  until: Micros
  most: number
  mostOfRegistry: number
}

export type NewRequests = {
  /** By registry, in the order of their times. */
  requests: ReadonlyMap<string, PendingRequest[]>
  /** What is read now. */
  shown: Shown
}

type Row = PendingRow & { registry: string }

/**
 * Reads pending requests that are new since a snapshot, each once, in whatever order transactions end. Of those that are more
 * than wanted, the earliest of each registry are read; from when to when the others are is kept in provisional.hidden. A HEAD
 * that is known to be part of a push is left out; one whose push arrives later is shown as a check until it is settled.
 */
export const readNewRequests = async (tx: Sql, wanted: Wanted): Promise<NewRequests> => {
  const { shown, until, most, mostOfRegistry } = wanted
  const { rows: now } = await sql<{ snapshot: string }>`select pg_current_snapshot()::text as snapshot`.execute(tx)
  // A row of a database that was restored may have a transaction of the future: it would be new each time.
  const { rows } = await sql<Row>`
    with new as materialized (
      select p.place, p.registry, p.at, row_number() over (partition by p.registry order by p.at, p.id) as turn
      from (${newSince(shown)}) p left join pulls.registries r on r.registry = p.registry
      where p.xact < pg_snapshot_xmax(pg_current_snapshot())
        and p.at > coalesce(r.folded_to, '-infinity') and p.at <= ${isoTime(until)}::timestamptz
    ), ordered as (
      select *, turn <= ${mostOfRegistry} and row_number() over (order by turn, registry) <= ${most} as is_shown from new
    ), hidden as (
      insert into provisional.hidden as kept (registry, from_at, to_at)
      select registry, min(at), max(at) from ordered where not is_shown group by registry
      on conflict (registry) do update
        set from_at = least(kept.from_at, excluded.from_at), to_at = greatest(kept.to_at, excluded.to_at)
    )
    select p.id, p.registry, p.repository, p.origin, p.request, p.who
    from ordered join pulls.pending p on p.ctid = ordered.place
    where ordered.is_shown and not ${isCheckBeforePush({ id: sql`p.id`, request: sql`p.request` })}
    order by p.registry, p.at, p.id
  `.execute(tx)
  const requests = new Map<string, PendingRequest[]>()
  for (const row of rows) {
    const request = readPending(row, row.registry)
    const known = requests.get(row.registry)
    if (known) known.push(request)
    else requests.set(row.registry, [request])
  }
  return { requests, shown: { snapshot: now[0]?.snapshot ?? '', until } }
}

const ROW = sql`p.ctid as place, p.id, p.registry, p.at, p.xact`

/** Requests that arrived since, and those that were ahead of the clock when they arrived. */
const newSince = (shown: Shown | undefined): RawBuilder<unknown> => {
  if (!shown) return sql`select ${ROW} from pulls.pending p`
  const snapshot = sql`${shown.snapshot}::pg_snapshot`
  return sql`
    select ${ROW} from pulls.pending p
    where p.xact >= pg_snapshot_xmin(${snapshot}) and not pg_visible_in_snapshot(p.xact, ${snapshot})
    union all
    select ${ROW} from pulls.registries r join pulls.pending p
      on p.registry = r.registry and p.at > ${isoTime(shown.until)}::timestamptz
    where pg_visible_in_snapshot(p.xact, ${snapshot})
  `
}

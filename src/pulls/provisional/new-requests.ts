import { sql, type RawBuilder } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import type { Shown } from './provisional-run.js'
import { PENDING_REGISTRIES } from '../requests/pending-registries.js'
import { readPending, type PendingRequest, type PendingRow } from '../requests/pending.js'

/** Which requests to read, and how many at most. */
type Wanted = {
  /** The requests that were read before; undefined to read all requests. */
  shown: Shown | undefined
  /** The clock. A request that is ahead of it is read when its time is reached. */
  until: Micros
  most: number
  mostOfRegistry: number
}

export type NewRequests = {
  /** By registry, sorted by time. */
  requests: ReadonlyMap<string, PendingRequest[]>
  /** All requests that were read, including this time. */
  shown: Shown
}

type Row = PendingRow & { registry: string }

/**
 * Reads pending requests that are new since a snapshot. Each is read once, whatever the order in which transactions end. If there are
 * too many, the earliest ones of each registry are read, and the range of times of the others is stored in provisional.hidden.
 */
export const readNewRequests = async (tx: Sql, wanted: Wanted): Promise<NewRequests> => {
  const { shown, until, most, mostOfRegistry } = wanted
  const { rows: now } = await sql<{ snapshot: string }>`select pg_current_snapshot()::text as snapshot`.execute(tx)
  const { candidates, beyond } = shown ? since(shown, until) : first(until, mostOfRegistry)
  const { rows } = await sql<Row>`
    with ${candidates},
    ordered as (
      select *, turn <= ${mostOfRegistry} and row_number() over (order by turn, registry) <= ${most} as is_shown
      from (
        select *, row_number() over (partition by registry order by at, id) as turn from candidates
      ) new
    ), hidden as (
      insert into provisional.hidden as stored (registry, from_at, to_at) ${beyond}
      on conflict (registry) do update
        set from_at = least(stored.from_at, excluded.from_at), to_at = greatest(stored.to_at, excluded.to_at)
    )
    select p.id, p.registry, p.repository, p.origin, p.request, p.who
    from ordered join pulls.pending p on p.ctid = ordered.row_id
    where ordered.is_shown
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

/** The CTE `candidates`, and a query for the ranges of times in which requests of registries are not shown. */
type Read = { candidates: RawBuilder<unknown>; beyond: RawBuilder<unknown> }

const ROW = sql`p.ctid as row_id, p.id, p.registry, p.at`

/** A row of a restored database may have the number of a future transaction: such a row would be new in each run. */
const IS_OURS = sql`p.xact < pg_snapshot_xmax(pg_current_snapshot())`

/** Requests that arrived after the snapshot, and requests that were ahead of the clock when they arrived. */
const since = (shown: Shown, until: Micros): Read => {
  const snapshot = sql`${shown.snapshot}::pg_snapshot`
  return {
    candidates: sql`
      candidates as materialized (
        select p.row_id, p.id, p.registry, p.at
        from (
          select ${ROW}, p.xact from pulls.pending p
          where p.xact >= pg_snapshot_xmin(${snapshot}) and not pg_visible_in_snapshot(p.xact, ${snapshot})
          union all
          select ${ROW}, p.xact from pulls.registries r join pulls.pending p
            on p.registry = r.registry and p.at > ${isoTime(shown.until)}::timestamptz
          where pg_visible_in_snapshot(p.xact, ${snapshot})
        ) p left join pulls.registries r on r.registry = p.registry
        where ${IS_OURS} and p.at > coalesce(r.folded_to, '-infinity') and p.at <= ${isoTime(until)}::timestamptz
      )`,
    beyond: sql`select registry, min(at), max(at) from ordered where not is_shown group by registry`,
  }
}

/** The first requests of each registry, found by the index: a million requests may be pending. */
const first = (until: Micros, mostOfRegistry: number): Read => {
  const isPending = sql`p.registry = named.registry and p.at > named.folded_to and p.at <= ${isoTime(until)}::timestamptz and ${IS_OURS}`
  return {
    candidates: sql`
      named as materialized (
        select pending.registry, coalesce(r.folded_to, '-infinity') as folded_to
        from ${PENDING_REGISTRIES} pending left join pulls.registries r on r.registry = pending.registry
      ), candidates as materialized (
        select p.* from named cross join lateral (
          select ${ROW} from pulls.pending p where ${isPending} order by p.at, p.id limit ${mostOfRegistry}
        ) p
      )`,
    // The requests shown of a registry are the first of its pending requests.
    beyond: sql`
      select named.registry, next.at, last.at
      from named
        left join lateral (
          select o.at, o.id from ordered o where o.registry = named.registry and o.is_shown order by o.at desc, o.id desc limit 1
        ) shown on true
        cross join lateral (
          select p.at from pulls.pending p
          where ${isPending} and p.at >= coalesce(shown.at, '-infinity') and (shown.at is null or (p.at, p.id) > (shown.at, shown.id))
          order by p.at limit 1
        ) next
        cross join lateral (select p.at from pulls.pending p where ${isPending} order by p.at desc limit 1) last`,
  }
}

import { sql } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { UnreadableEvent } from '../../events/reported-item.js'
import type { Sql } from '../../storage/sql/database.js'

/**
 * Notes the repositories that set-aside events may be about, for the lists of model/undecided.ts. If the repository of an event is not
 * in the inventory and was renamed, the event may be about the new path, too.
 * @param events no event that arrived before
 * @param at when the events arrived: their own times are unknown, or wrong
 */
export const storeSetAside = async (tx: Sql, events: readonly UnreadableEvent[], at: Micros): Promise<void> => {
  const known = events.flatMap(({ unreadable, about }) =>
    about?.registry === undefined ? [] : [{ ...about, registry: about.registry, reason: unreadable }],
  )
  if (known.length === 0) return
  const arrivedAt = sql`${isoTime(at)}::timestamptz`
  await sql`
    with incoming as (
      select registry, name, case when is_pull then null else ${arrivedAt} end as changed_at, reason
      from unnest(
        ${known.map(({ registry }) => registry)}::text[],
        ${known.map(({ repository }) => repository)}::text[],
        ${known.map(({ isPull }) => isPull)}::boolean[],
        ${known.map(({ reason }) => reason)}::text[]
      ) as incoming (registry, name, is_pull, reason)
    ), renamed as (
      select i.registry, n.to_name || substr(i.name, length(n.from_name) + 1) as name, i.changed_at, i.reason
      from incoming i join inventory.renames n on n.registry = i.registry
        and (n.from_name = i.name or (n.what = 'namespace' and starts_with(i.name, n.from_name || '/')))
      where not exists (select from inventory.repositories where registry = i.registry and name = i.name)
    )
    insert into inventory.set_aside_events as stored (registry, name, arrived_at, changed_at, reason)
    select registry, name, ${arrivedAt}, max(changed_at), max(reason)
    from (select * from incoming union all select * from renamed) seen
    group by registry, name order by registry, name
    ${MERGE_SET_ASIDE}
  `.execute(tx)
}

/** Merges a row with the stored one, in any order. */
export const MERGE_SET_ASIDE = sql`
    on conflict (registry, name) do update set
      reason = case when (excluded.arrived_at, excluded.reason) > (stored.arrived_at, stored.reason)
        then excluded.reason else stored.reason end,
      arrived_at = greatest(stored.arrived_at, excluded.arrived_at),
      changed_at = greatest(stored.changed_at, excluded.changed_at)`

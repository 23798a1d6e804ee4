import { sql, type Kysely, type Migration } from 'kysely'

/** UTC days since 1970-01-01 of a time. */
const dayOf = (time: string): string => `((${time} at time zone 'UTC')::date - date '1970-01-01')`

/**
 * The days on which any event, and any pull, of a registry happened and arrived. For all other days it is unknown what happened.
 * The recorded data already shows some of these days. The index (registry, day) of pulls.days is read once for each registry and
 * day. `silent_from` and `silent_to` stay, because processes of the previous version write them.
 */
const statements = [
  `alter table receptions
    add column heard_on int4multirange not null default '{}',
    add column pulls_on int4multirange not null default '{}',
    add column last_pull_at timestamptz,
    add column late_at timestamptz`,
  `create temporary table heard_days on commit drop as
    with recursive found as (
      (select registry, day from pulls.days order by registry, day limit 1)
      union all
      select later.registry, later.day from found
        cross join lateral (
          select registry, day from pulls.days
          where (registry, day) > (found.registry, found.day) order by registry, day limit 1
        ) later
    )
    select registry, day - date '1970-01-01' as day, true as is_pull from found
    union
    select registry, ${dayOf('at')}, true from pulls.outcomes
    where at >= coalesce((select max(day)::timestamp at time zone 'UTC' from pulls.days), '-infinity')
    union
    select r.registry, ${dayOf('c.at')}, false
    from inventory.changes c join inventory.repositories r on r.id = c.repository_id
    union
    select registry, ${dayOf('last_event_at')}, false from receptions`,
  `insert into receptions as stored (registry, last_event_at, last_received_at, events, heard_on, pulls_on, last_pull_at)
    select registry, to_timestamp(max(day) * 86400.0), to_timestamp(max(day) * 86400.0), 0,
      range_agg(int4range(day, day + 1)), coalesce(range_agg(int4range(day, day + 1)) filter (where is_pull), '{}'),
      to_timestamp(max(day) filter (where is_pull) * 86400.0)
    from heard_days group by registry
    on conflict (registry) do update
      set heard_on = excluded.heard_on, pulls_on = excluded.pulls_on, last_pull_at = excluded.last_pull_at`,
]

export const heardDays: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await sql.raw(statement).execute(db)
  },
}

import { sql } from 'kysely'

/** A table with the column `registry`: the registries with pending requests. Each is found by one look-up in the index. */
export const PENDING_REGISTRIES = sql`(
  with recursive named as (
    (select registry from pulls.pending order by registry limit 1)
    union all
    select (select p.registry from pulls.pending p where p.registry > named.registry order by p.registry limit 1)
    from named where named.registry is not null
  )
  select registry from named where registry is not null
)`

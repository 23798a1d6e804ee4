import { sql, type RawBuilder } from 'kysely'
import { LOG_SOURCE } from '../segments/log-source.js'

/** The repositories of a registry's outcomes. Each is found by one look-up in the key, however many outcomes it has. */
const repositoriesOf = (registry: string): RawBuilder<unknown> => sql`
  with recursive names as (
    (select repository from pulls.outcomes where registry = ${registry} order by repository limit 1)
    union all
    select (
      select o.repository from pulls.outcomes o where o.registry = ${registry} and o.repository > names.repository
      order by o.repository limit 1
    )
    from names where names.repository is not null
  )
  select repository from names where repository is not null`

type FirstOutcomes = { from: RawBuilder<unknown>; until?: RawBuilder<unknown>; most: number; isLive?: true }

/**
 * The first outcomes of each repository of a registry from a time on, at most `most` of each; columns `ctid` and `at`.
 * @param isLive only outcomes of live requests, without those of imported ones
 */
export const firstOutcomesOf = (
  registry: string,
  { from, until, most, isLive }: FirstOutcomes,
): RawBuilder<unknown> => sql`
  select o.ctid, o.at from (${repositoriesOf(registry)}) names cross join lateral (
    select o.ctid, o.at from pulls.outcomes o
    where o.registry = ${registry} and o.repository = names.repository and o.at >= ${from}
      ${until ? sql`and o.at < ${until}` : sql``}
      ${isLive === true ? sql`and o.source <> ${LOG_SOURCE}` : sql``}
    order by o.at limit ${most}
  ) o`

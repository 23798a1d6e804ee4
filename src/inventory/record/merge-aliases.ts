import { sql } from 'kysely'
import type { Database, Sql } from '../../storage/sql/database.js'
import { eachAlone } from '../../storage/each-alone.js'
import { moveRepository } from './move-repository.js'
import { storeAliases } from './registry-aliases.js'
import { MERGE_SET_ASIDE } from './store-set-aside.js'

/**
 * Moves the data that was recorded under aliases to the registries of the aliases. It was recorded before the alias was
 * configured, or by a process that did not know the alias yet.
 * @param aliases each alias with the name of its registry
 * @throws AggregateError if repositories failed; the others were merged
 */
export const mergeAliases = async (database: Database, aliases: ReadonlyMap<string, string>): Promise<void> => {
  await storeAliases(database.sql, aliases)
  // A rename that was reported under an alias is carried out again: the renamed repository may be known under the name of the
  // registry.
  await sql`
    update inventory.renames r set registry = aliases.name, carried_at = null
    from unnest(${[...aliases.keys()]}::text[], ${[...aliases.values()]}::text[]) as aliases (alias, name)
    where r.registry = aliases.alias
  `.execute(database.sql)
  await moveSetAside(database.sql, aliases)
  const { rows } = await sql<{ registry: string; name: string }>`
    select registry, name from inventory.repositories where registry = any(${[...aliases.keys()]}::text[])
    order by registry, name
  `.execute(database.sql)
  await eachAlone(rows, async (from) => {
    const registry = aliases.get(from.registry) ?? from.registry
    await moveRepository(database, { from, to: { registry, name: from.name } })
  })
}

/** Also of repositories of an alias that are not in the inventory: there is no move for these. */
const moveSetAside = async (db: Sql, aliases: ReadonlyMap<string, string>): Promise<void> => {
  await sql`
    with moved as (
      delete from inventory.set_aside_events s
      using unnest(${[...aliases.keys()]}::text[], ${[...aliases.values()]}::text[]) as aliases (alias, name)
      where s.registry = aliases.alias
      returning aliases.name as registry, s.name, s.arrived_at, s.changed_at, s.reason
    )
    insert into inventory.set_aside_events as stored (registry, name, arrived_at, changed_at, reason)
    select registry, name, max(arrived_at), max(changed_at), (array_agg(reason order by arrived_at desc, reason desc))[1]
    from moved group by registry, name order by registry, name
    ${MERGE_SET_ASIDE}
  `.execute(db)
}

import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'

/**
 * Stores the aliases of registries for SQL: while data moves from an alias to its registry, uses are recorded under both names.
 * Aliases that are no longer configured are deleted.
 * @param aliases each with the name of its registry.
 */
export const storeAliases = async (db: Sql, aliases: ReadonlyMap<string, string>): Promise<void> => {
  const incoming = sql`unnest(${[...aliases.keys()]}::text[], ${[...aliases.values()]}::text[]) as incoming (alias, name)`
  await sql`
    with removed as (
      delete from inventory.registry_aliases where alias <> all(${[...aliases.keys()]}::text[])
    )
    insert into inventory.registry_aliases as stored (alias, name)
    select alias, name from ${incoming} order by alias
    on conflict (alias) do update set name = excluded.name where stored.name <> excluded.name
  `.execute(db)
}

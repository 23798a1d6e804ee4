import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'

/**
 * Unfinished moves as `from_id`, `to_id`, `to_path`: open moves, and moves of known aliases and renames that have not begun.
 * `to_id` is null if no repository exists at the new path; `to_path` is the registry and the repository.
 */
export const MOVES = sql`(
  select from_id, to_id, registry || '/' || name as to_path from inventory.open_moves join inventory.repositories on id = to_id
  union
  select source.id, target.id, a.name || '/' || source.name
  from inventory.registry_aliases a
    join inventory.repositories source on source.registry = a.alias
    left join inventory.repositories target on target.registry = a.name and target.name = source.name
  union
  select source.id, target.id, source.registry || '/' || source.to_name
  from (
      select registry, what, from_name, to_name, max(at) as at from inventory.renames where carried_at is null group by 1, 2, 3, 4
    ) n
    cross join lateral (
      select id, registry, n.to_name from inventory.repositories
      where registry = n.registry and name = n.from_name and first_seen_at <= n.at
      union all
      -- "0" follows "/" in the order of the names.
      select id, registry, n.to_name || substr(name, length(n.from_name) + 1) from inventory.repositories
      where n.what = 'namespace' and registry = n.registry and name > n.from_name || '/' and name < n.from_name || '0'
        and first_seen_at <= n.at
    ) source
    left join inventory.repositories target on target.registry = source.registry and target.name = source.to_name
)`

/**
 * Whether a repository is the source or the target of an unfinished move. Its manifests, blobs and tags may be at different
 * paths, so nothing in it is known to be unused. A statement reads the moves once, whatever its number of rows.
 */
export const isMoving = (repositoryId: RawBuilder<unknown>): RawBuilder<unknown> => sql`(${repositoryId} = any(array(
  select id from ${MOVES} moves cross join lateral unnest(array[from_id, to_id]) as id where id is not null
)))`

/** Objects that the registry has at one path may be recorded at another path. */
export class BeingMoved extends Error {
  constructor(repository: string) {
    super(`${repository} is being moved in the inventory; a later run compares it`)
  }
}

/** @throws BeingMoved if a repository is the source or the target of an unfinished move */
export const refuseMoving = async (db: Sql, target: { registry: string; repository: string }): Promise<void> => {
  const { rows } = await sql`
    select from inventory.repositories
    where registry = ${target.registry} and name = ${target.repository} and ${isMoving(sql`id`)}
  `.execute(db)
  if (rows.length > 0) throw new BeingMoved(target.repository)
}

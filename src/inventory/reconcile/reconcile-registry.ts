import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { aliasesOfRegistry, type Registries, type Registry } from '../../registries/registries.js'
import { reconcile, type ReconcileDeps, type ReconcileOptions } from './reconcile.js'
import type { ReconciliationReport } from './reports.js'
import { UserError } from '../../runtime/user-error.js'

/**
 * A registry behaves like a pull-through cache, and the configuration does not show whether it is one. The message shows how to
 * configure it.
 */
export class MaybeCache extends UserError {
  override readonly kind = 'conflict'
}

/** Data under an alias of a registry has not moved to the registry yet. The message explains what to do. */
export class AliasNotMoved extends UserError {
  override readonly kind = 'conflict'
}

/**
 * Reconciles a registry of the configuration, as a pull-through cache if it is declared as one. An undeclared cache would fetch
 * all tags of its upstream. So a registry that reported pulls and never a push or a delete is refused until the configuration
 * says what it is. If a registry reported nothing, it is unknown whether it is a cache: the progress contains a notice before
 * the first request. While data of an alias has not moved, all objects of the registry would be missing. Either the move is in
 * progress, or the running service does not know the alias and records new events under it. Then the inventory would contain
 * everything twice.
 * @throws MaybeCache; AliasNotMoved; what reconcile throws
 */
export const reconcileRegistry = async (
  { registries, ...deps }: ReconcileDeps & { registries: Pick<Registries, 'aliases'> },
  { name, cache }: Registry,
  options: Omit<ReconcileOptions, 'registry' | 'cache'>,
): Promise<ReconciliationReport> => {
  await refuseUnmovedAlias(deps.database.sql, registries, name)
  const uses = cache === undefined ? await reportedUses(deps.database.sql, name) : undefined
  if (uses === 'pulls only') {
    throw new MaybeCache(
      `${name} has reported pulls and never a push, as a pull-through cache does. A cache that is reconciled like another ` +
        'registry fetches every tag of its upstream. Say in the configuration what it is: ' +
        `registries: { ${name}: { url: …, cache: true } }, or cache: false if images are pushed to it`,
    )
  }
  const notice =
    uses === 'nothing' && `if ${name} is a pull-through cache, stop and set cache: true for it under registries`
  return reconcile(deps, {
    ...options,
    registry: name,
    ...(cache !== undefined && { cache }),
    ...(notice && { notice }),
  })
}

const refuseUnmovedAlias = async (
  db: Sql,
  registries: Pick<Registries, 'aliases'>,
  registry: string,
): Promise<void> => {
  const own = aliasesOfRegistry(registries, registry)
  const { rows } = await sql<{ alias: string }>`
    select alias from unnest(${own}::text[]) as own (alias)
    where exists (select from inventory.repositories r where r.registry = alias)
    order by alias limit 1
  `.execute(db)
  const alias = rows[0]?.alias
  if (alias === undefined) return
  throw new AliasNotMoved(
    `the inventory of ${alias} has not moved to ${registry} yet. A running service moves it within a minute, if its own ` +
      `configuration has the alias: it reads a changed tallyman.yml or registries file by itself. Try again then, or restart the ` +
      'service with the same configuration',
  )
}

/** Whether events reported pushes or deletes, which a cache does not accept; or only pulls; or nothing. */
const reportedUses = async (db: Sql, registry: string): Promise<'pushes' | 'pulls only' | 'nothing'> => {
  const { rows } = await sql<{ pushed: boolean; pulled: boolean }>`
    with of_registry as materialized (select id from inventory.repositories where registry = ${registry})
    select
      exists (select from of_registry join inventory.repository_manifests o on o.repository_id = id where pushed_at is not null)
        or exists (
          select from of_registry join inventory.repository_blobs o on o.repository_id = id
          where pushed_at is not null or mounted_at is not null
        )
        or exists (select from of_registry join inventory.changes c on c.repository_id = id where action in ('push', 'delete'))
        as pushed,
      exists (
        select from of_registry join inventory.repository_manifests o on o.repository_id = id
        where pulled_at is not null or checked_at is not null
      ) as pulled
  `.execute(db)
  const [reported] = rows
  if (reported?.pushed) return 'pushes'
  return reported?.pulled ? 'pulls only' : 'nothing'
}

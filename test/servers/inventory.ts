import { sql } from 'kysely'
import type { Database } from '../../src/storage/sql/database.js'

const PLACED = ['repository_manifests', 'repository_blobs', 'tags', 'changes']
const ALONE = ['manifests', 'manifest_blobs', 'manifest_children']

/** All that the inventory holds, without the numbers of repositories and actors, and without the time of reading. */
export const inventoryOf = async ({ sql: db }: Database): Promise<Record<string, unknown[]>> => {
  const all: Record<string, unknown[]> = {}
  const read = async (name: string, query: string): Promise<void> => {
    const { rows } = await sql<{
      row: object
    }>`select to_jsonb(x) - 'id' - 'repository_id' - 'next_attempt_at' - 'actor_id' as row
      from (${sql.raw(query)}) x order by 1`.execute(db)
    all[name] = rows.map(({ row }) => row)
  }
  await read('repositories', 'select * from inventory.repositories')
  await read(
    'actors of changes',
    'select c.event_id, a.day, a.name from inventory.changes c join inventory.actors a on a.id = c.actor_id',
  )
  for (const table of PLACED) {
    await read(
      table,
      `select r.registry, r.name as repository, t.* from inventory.${table} t join inventory.repositories r on r.id = t.repository_id`,
    )
  }
  for (const table of ALONE) await read(table, `select * from inventory.${table}`)
  return all
}

type LiveRepository = { tags: Record<string, string>; manifests: string[]; blobs: string[] }

/** What lives in one registry by the inventory: of each repository the tags with their digests, manifests and blobs. */
export const liveIn = async ({ sql: db }: Database, registry: string): Promise<Record<string, LiveRepository>> => {
  const { rows } = await sql<{ repository: string; what: 'tag' | 'manifest' | 'blob'; name: string; digest: string }>`
    select repository, 'tag' as what, name, digest from inventory.live_tags where registry = ${registry}
    union all
    select r.name, 'manifest', o.digest, o.digest from inventory.repositories r
      join inventory.repository_manifests o on o.repository_id = r.id and o.live where r.registry = ${registry}
    union all
    select r.name, 'blob', o.digest, o.digest from inventory.repositories r
      join inventory.repository_blobs o on o.repository_id = r.id and o.live where r.registry = ${registry}
    order by 1, 2, 3
  `.execute(db)
  const all: Record<string, LiveRepository> = {}
  for (const { repository, what, name, digest } of rows) {
    const live = (all[repository] ??= { tags: {}, manifests: [], blobs: [] })
    if (what === 'tag') live.tags[name] = digest
    else live[`${what}s`].push(digest)
  }
  return all
}

/** Every digest that the inventory has ever heard of, alive or not. */
export const digestsIn = async ({ sql: db }: Database): Promise<string[]> => {
  const { rows } = await sql<{ digest: string }>`
    select digest from inventory.repository_manifests union select digest from inventory.repository_blobs
    union select digest from inventory.manifest_blobs union select digest from inventory.manifest_children
    order by 1
  `.execute(db)
  return rows.map(({ digest }) => digest)
}

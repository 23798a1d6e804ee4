import type { HotStatement, Run } from '../../storage/database.js'

/**
 * What `m` has, manifests in repositories, goes to these repositories. Look-ups by key, whatever the statistics say. Layers that
 * may not be distributed are kept elsewhere: a registry takes manifests without them. Rows that say it already are left alone:
 * to look at them is a write less, and most pulls are of images whose blobs are known.
 */
const expansionOf = (m: string): string => `
    insert into inventory.repository_blobs as o (repository_id, digest, size, manifest_at, implied, deleted_at, moved_at)
    select told.* from (
      select m.repository_id, b.digest, max(b.size) as size, max(m.pushed_at) as manifest_at, true, max(m.deleted_at), max(m.moved_at)
      from ${m}
        cross join lateral (
          select digest, size from inventory.manifest_blobs
          where manifest_digest = m.digest and (media_type is null or media_type !~ 'foreign|nondistributable') offset 0
        ) b
      group by m.repository_id, b.digest
    ) told
      left join lateral (
        select true as same from inventory.repository_blobs k
        where k.repository_id = told.repository_id and k.digest = told.digest and k.implied
          and k.manifest_at is not distinct from greatest(k.manifest_at, told.manifest_at)
          and k.size is not distinct from greatest(k.size, told.size)
        offset 0
      ) known on true
    where known.same is null
    order by told.repository_id, told.digest
    on conflict (repository_id, digest) do update
      set size = greatest(o.size, excluded.size),
          manifest_at = greatest(o.manifest_at, excluded.manifest_at),
          implied = true,
          deleted_at = greatest(o.deleted_at, excluded.deleted_at),
          moved_at = greatest(o.moved_at, excluded.moved_at)
      where not o.implied
        or o.manifest_at is distinct from greatest(o.manifest_at, excluded.manifest_at)
        or o.size is distinct from greatest(o.size, excluded.size)`

/** What a rename brought after the delete of a repository is not ended by it. */
const ENDED = 'case when o.moved_at >= r.deleted_at then null else r.deleted_at end'

const EVERYWHERE: HotStatement = {
  name: 'expand_manifests',
  text: expansionOf(`(
      select o.repository_id, o.digest, o.pushed_at, o.moved_at, ${ENDED} as deleted_at
      from unnest($1::text[]) as wanted (digest)
        cross join lateral (
          select repository_id, digest, pushed_at, moved_at from inventory.repository_manifests
          where digest = wanted.digest and seen_at is not null offset 0
        ) o
        cross join lateral (select deleted_at from inventory.repositories where id = o.repository_id offset 0) r
    ) m`),
}

const HERE: HotStatement = {
  name: 'expand_shown_manifests',
  text: expansionOf(`(
      select o.repository_id, o.digest, o.pushed_at, o.moved_at, ${ENDED} as deleted_at
      from unnest($1::text[], $2::text[], $3::text[]) as wanted (registry, name, digest)
        cross join lateral (
          select id, deleted_at from inventory.repositories
          where registry = wanted.registry and name = wanted.name offset 0
        ) r
        cross join lateral (
          select repository_id, digest, pushed_at, moved_at from inventory.repository_manifests
          where repository_id = r.id and digest = wanted.digest and seen_at is not null offset 0
        ) o
    ) m`),
}

/**
 * Tells all repositories that have these manifests of the blobs in them: a registry takes no manifest whose blobs it lacks, so
 * they were there when it was pushed.
 *
 * To be called in a statement after the one that stored pushes, and after the one that stored contents: both lock the row of
 * the manifest, so whichever comes second sees what the first has written, and no blob is missed. So do moves and ends of repositories.
 */
export const expandManifests = async ({ run }: { run: Run }, digests: readonly string[]): Promise<void> => {
  if (digests.length > 0) await run(EVERYWHERE, [digests])
}

/** The same for one repository of each manifest, where nothing new is known of its contents. */
export const expandShown = async (
  { run }: { run: Run },
  shown: readonly { registry: string; name: string; digest: string }[],
): Promise<void> => {
  if (shown.length === 0) return
  await run(HERE, [
    shown.map(({ registry }) => registry),
    shown.map(({ name }) => name),
    shown.map(({ digest }) => digest),
  ])
}

import { sql, type Kysely, type Migration } from 'kysely'

/**
 * The tables of RegStat (github.com/vleurgat/regstat) as views, so that SQL written for it runs unchanged if the
 * search_path contains the schema. Times are `timestamptz`; RegStat has `timestamp` in the zone of each registry.
 */
const statements = [
  sql`create schema regstat`,

  // An object is live as long as one repository has it. Its times are the newest of all repositories.
  sql`create view regstat.manifests as
    select digest, max(coalesce(pushed_at, first_seen_at)) as pushed, max(pulled_at) as pulled
    from inventory.repository_manifests where live group by digest`,

  // RegStat lets a push or pull of an image touch the blobs of the image.
  sql`create view regstat.blobs as
    select b.digest, max(coalesce(b.pushed_at, b.first_seen_at, b.manifest_at, touched.first_at)) as pushed,
      max(greatest(b.pulled_at, touched.at)) as pulled
    from inventory.repository_blobs b
      left join lateral (
        select max(greatest(m.pushed_at, m.pulled_at)) as at, min(m.first_seen_at) as first_at
        from inventory.manifest_blobs mb
          join inventory.repository_manifests m on m.repository_id = b.repository_id and m.digest = mb.manifest_digest
        where mb.digest = b.digest
      ) touched on true
    where b.live group by b.digest`,

  // An index lists blobs, too, if BuildKit stores a cache in it. A listed digest that no repository has as a blob is an image.
  sql`create view regstat.manifest_blob as
    select mb.manifest_digest, mb.digest as blob_digest
    from inventory.manifest_blobs mb
      join inventory.repository_manifests m on m.digest = mb.manifest_digest and m.live
      join inventory.repository_blobs b on b.repository_id = m.repository_id and b.digest = mb.digest and b.live
    union
    select c.manifest_digest, c.digest
    from inventory.manifest_children c
      join inventory.repository_manifests m on m.digest = c.manifest_digest and m.live
      join inventory.repository_blobs b on b.repository_id = m.repository_id and b.digest = c.digest and b.live`,

  // A tag ends when it is deleted, and when its manifest is deleted by digest.
  sql`create view inventory.live_tags as
    select t.*, r.registry, r.name as repository
    from inventory.tags t
      join inventory.repositories r on r.id = t.repository_id
      left join inventory.repository_manifests m on m.repository_id = t.repository_id and m.digest = t.digest
    where t.pointed_at > coalesce(greatest(t.deleted_at, m.deleted_at), '-infinity')`,

  sql`create view regstat.tags as
    select registry || '/' || repository || ':' || name as name, registry, repository, name as tag,
      digest as manifest_digest, coalesce(pushed_at, first_seen_at) as pushed, pulled_at as pulled
    from inventory.live_tags`,

  sql`create view regstat.deleted_manifests as
    select digest, max(coalesce(pushed_at, first_seen_at)) as pushed, max(pulled_at) as pulled, max(deleted_at) as deleted
    from inventory.repository_manifests group by digest having not bool_or(live) and max(seen_at) is not null`,

  // A row that was neither seen nor is in a manifest is the mark of a deleted manifest. If only a manifest contained a blob,
  // the time of the blob is the time of the manifest.
  sql`create view regstat.deleted_blobs as
    select gone.digest, coalesce(gone.pushed, shown.at) as pushed, gone.pulled, gone.deleted
    from (
      select digest, max(coalesce(pushed_at, first_seen_at, manifest_at)) as pushed, max(pulled_at) as pulled,
        max(deleted_at) as deleted
      from inventory.repository_blobs group by digest
      having not bool_or(live) and (max(seen_at) is not null or bool_or(implied))
    ) gone
      left join lateral (
        select min(m.first_seen_at) as at
        from inventory.manifest_blobs mb
          join inventory.repository_manifests m on m.digest = mb.manifest_digest
          join inventory.repository_blobs b on b.repository_id = m.repository_id and b.digest = mb.digest
        where mb.digest = gone.digest and gone.pushed is null
      ) shown on true`,

  // A delete does not show whether it deleted a manifest or a blob: an entry of an index is a blob only if it was seen as one.
  sql`create view regstat.deleted_manifest_blob as
    select p.manifest_digest, p.digest as blob_digest, max(greatest(m.deleted_at, b.deleted_at)) as deleted
    from (
        select manifest_digest, digest, false as listed from inventory.manifest_blobs
        union all select manifest_digest, digest, true from inventory.manifest_children
      ) p
      join inventory.repository_manifests m on m.digest = p.manifest_digest and m.seen_at is not null
      join inventory.repository_blobs b on b.repository_id = m.repository_id and b.digest = p.digest
    where b.seen_at is not null or not p.listed
    group by p.manifest_digest, p.digest
    having not bool_or(m.live and b.live)`,

  sql`create view regstat.deleted_tags as
    select r.registry || '/' || r.name || ':' || t.name as name, r.registry, r.name as repository, t.name as tag,
      t.digest as manifest_digest, coalesce(t.pushed_at, t.first_seen_at) as pushed, t.pulled_at as pulled,
      greatest(t.deleted_at, m.deleted_at) as deleted
    from inventory.tags t
      join inventory.repositories r on r.id = t.repository_id
      left join inventory.repository_manifests m on m.repository_id = t.repository_id and m.digest = t.digest
    where t.pointed_at <= greatest(t.deleted_at, m.deleted_at)`,
]

export const regstat: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}

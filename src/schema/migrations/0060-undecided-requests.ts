import { sql, type Kysely, type Migration } from 'kysely'

const INDEXES = `'application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json'`
const MANIFESTS = `${INDEXES}, 'application/vnd.oci.image.manifest.v1+json', 'application/vnd.oci.artifact.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json', 'application/vnd.docker.distribution.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws'`

const statements = [
  // Of a tag: the newest pull, check or push by its name of which the event has no digest. Of a repository: the newest push, pull or
  // check of which the event does not show the manifest or blob.
  sql`alter table inventory.tags add column undecided_at timestamptz`,
  sql`alter table inventory.repositories add column undecided_at timestamptz`,
  sql`create index tags_undecided on inventory.tags (repository_id) where undecided_at is not null`,
  sql`create index repositories_undecided on inventory.repositories (undecided_at) where undecided_at is not null`,

  // The list of a manifest without a known type was stored as that of an image: of some it is that of an index, of others unknown.
  sql.raw(`create temporary table untyped_lists as
    select m.digest, bool_or(coalesce(b.media_type in (${MANIFESTS}), false)) as is_index
    from inventory.manifests m join inventory.manifest_blobs b on b.manifest_digest = m.digest
    where (m.media_type in (${MANIFESTS})) is not true and not m.subject_known
    group by m.digest having bool_or(coalesce(b.media_type ~* 'manifest|index', true))`),
  sql`insert into inventory.rejected_entries (manifest_digest, digest)
    select distinct b.manifest_digest, b.digest from inventory.manifest_blobs b join untyped_lists l on l.digest = b.manifest_digest
    on conflict (manifest_digest, digest) do update set after_id = 0`,
  sql`insert into inventory.manifest_children (manifest_digest, position, digest, media_type, size)
    select b.manifest_digest, b.position, b.digest, b.media_type, b.size
    from inventory.manifest_blobs b join untyped_lists l on l.digest = b.manifest_digest and l.is_index
    on conflict do nothing`,
  sql`delete from inventory.manifest_blobs b using untyped_lists l where l.digest = b.manifest_digest`,
  sql`update inventory.manifests m
    set contents_known = false, stated_by = '{}', completed_by = '{}', withheld_in = null, tell_after = null,
      attempts = 0, next_attempt_at = now(), last_error = null
    from untyped_lists l where l.digest = m.digest and not l.is_index`,
  // A type that no manifest has decided that a manifest is an image.
  sql.raw(`update inventory.manifests m set media_type = null, typed_by = '{}'
    where media_type not in (${MANIFESTS}) and not subject_known and not contents_known and coalesce(cardinality(stated_by), 0) = 0`),
  sql`drop table untyped_lists`,
]

/** Requests of which the event does not show what was requested; and lists whose kind their events leave open. */
export const undecidedRequests: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}

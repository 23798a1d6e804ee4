import { sql, type Kysely, type Migration } from 'kysely'

/** Data that must be known before an object is listed as unused. */
const statements = [
  // When a reconciliation had stored all tags that the registry lists for the repository. Written after the last part of a
  // repair: an interrupted repair proves nothing.
  sql`alter table inventory.repositories add column reconciled_at timestamptz`,
  // Indexes that an index lists, and manifests of unknown contents and type: both are few, and every page reads them.
  sql`create index manifest_children_indexes on inventory.manifest_children (digest) where media_type is null or media_type in
    ('application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json')`,
  sql`create index manifests_untyped on inventory.manifests (digest) where not contents_known and media_type is null`,

  // Uses by kinds of clients are recorded under the name of a registry and, until its data has moved, under its aliases.
  sql`create table inventory.registry_aliases (alias text collate "C" primary key, name text collate "C" not null)`,

  // Orphaned blobs of earlier rules are removed: the next summary finds them again.
  sql`delete from inventory.orphaned_blobs`,
  sql`delete from inventory.totals`,

  // 0018 filled pulls.last_uses from days and outcomes, which have only one digest of each invocation: the first one, of an index
  // or of the image that it lists. So the kind of a use before 0018 is unknown. An installation that began with 0018 keeps
  // -infinity: one transaction created the tables and ran 0018. A restored dump also has one transaction, but keeps the times.
  sql`update pulls.kinds_known set from_at = greatest(from_at, uses.at)
    from (select xmin::text as made_by, timestamp::timestamptz as at from kysely_migration where name = '0006-pulls') pulls,
      (select xmin::text as made_by, timestamp::timestamptz as at from kysely_migration where name = '0018-uses') uses
    where (uses.made_by <> pulls.made_by or uses.at - pulls.at > interval '1 hour')
      and exists (select from pulls.last_uses)`,
]

export const certainUnused: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}

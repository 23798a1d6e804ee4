import { sql, type Kysely, type Migration } from 'kysely'

/**
 * The summary also counts unknown contents and sizes, so that answers can contain these numbers. The findings of the summary are
 * removed, because they follow earlier rules: the next summary finds them again at once.
 */
const statements = [
  // Whether Tallyman read the manifest from a registry, so that a missing subject means no subject. Notifications do not
  // contain subjects.
  sql`alter table inventory.manifests add column subject_known boolean not null default false`,
  // An index with fewer bytes than one entry needs has no entries (events/descriptor.ts).
  sql`update inventory.manifests set contents_known = true
    where not contents_known and size between 1 and 144 and media_type in
      ('application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json')`,

  // unknown_contents: live manifests with unknown contents; unknown_indexes: how many of these may be indexes.
  // unknown_sizes: live blobs of unknown size. undecided_blobs and undecided_manifests: blobs and manifests that no known
  // manifest uses, but that an unknown one may use.
  sql`alter table inventory.repository_totals
    add column unknown_contents bigint not null default 0,
    add column unknown_indexes bigint not null default 0,
    add column unknown_sizes bigint not null default 0,
    add column undecided_blobs bigint not null default 0,
    add column undecided_manifests bigint not null default 0`,
  sql`create index repository_totals_unknown on inventory.repository_totals (repository_id)
    where unknown_contents > 0 or unknown_sizes > 0 or undecided_blobs > 0 or undecided_manifests > 0`,
  sql`alter table inventory.totals
    add column unknown_contents bigint not null default 0,
    add column unknown_sizes bigint not null default 0`,

  // used_at: the newest use at the time of the summary. A blob that was used afterwards is no longer a finding.
  sql`alter table inventory.orphaned_blobs add column used_at timestamptz`,
  // part: whether a blob or a manifest is missing. through: the entry of the index that contains it, if the index does not.
  sql`alter table inventory.missing_blobs
    add column part text collate "C" not null default 'blob',
    add column through text collate "C"`,
  sql`delete from inventory.orphaned_blobs`,
  sql`delete from inventory.missing_blobs`,
  sql`delete from inventory.totals`,
]

export const knownAndUnknown: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}

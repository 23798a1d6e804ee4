import { sql, type Kysely, type Migration } from 'kysely'

/**
 * Sums and findings over the whole inventory, which take too long to compute during a request. A job rebuilds them; every
 * answer from them contains their time.
 */
const statements = [
  // Bytes of live blobs, each counted once: unique blobs are only in this repository, shared blobs also in others.
  sql`create table inventory.repository_totals (
    repository_id int primary key,
    tags bigint not null,
    manifests bigint not null,
    blobs bigint not null,
    unique_bytes bigint not null,
    shared_bytes bigint not null,
    bytes bigint not null generated always as (unique_bytes + shared_bytes) stored
  )`,

  // One row. Manifests, blobs and bytes count once, in however many repositories they are.
  sql`create table inventory.totals (
    only_one boolean primary key default true check (only_one),
    registries bigint not null,
    repositories bigint not null,
    tags bigint not null,
    manifests bigint not null,
    blobs bigint not null,
    bytes bigint not null,
    orphaned_blobs bigint not null,
    orphaned_bytes bigint not null,
    as_of timestamptz not null,
    seconds double precision not null
  )`,

  // Findings of the job. A reader must check that a finding is still valid: if a blob has got a manifest since, it has
  // another manifest_at, or is implied.
  sql`create table inventory.orphaned_blobs (
    repository_id int not null,
    digest text collate "C" not null,
    size bigint not null,
    manifest_at timestamptz,
    implied boolean not null,
    primary key (repository_id, digest)
  )`,
  sql`create index orphaned_blobs_size on inventory.orphaned_blobs (size, repository_id, digest)`,
  sql`create table inventory.missing_blobs (
    repository_id int not null,
    manifest_digest text collate "C" not null,
    digest text collate "C" not null,
    primary key (repository_id, manifest_digest, digest)
  )`,
  sql`create table inventory.most_tagged (
    repository_id int not null,
    digest text collate "C" not null,
    tags bigint not null,
    primary key (repository_id, digest)
  )`,
  sql`create index most_tagged_tags on inventory.most_tagged (tags, repository_id, digest)`,
]

export const inventorySummary: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}

import { sql, type Kysely, type Migration } from 'kysely'

/**
 * The contents of registries. Every time in these tables is the greatest (for first_seen_at: the least) of all events, and
 * a delete only stores its time. So the order of arrival does not matter (docs/decisions/0009). A row with a delete only
 * is a mark for an older push that may still arrive. moved_at is the time of the newest rename that moved a row to its
 * repository: only a later rename moves the row again.
 *
 * Pages of rows that every pull changes have free space (fillfactor): a new version in the same page writes no index entry.
 */
const statements = [
  sql`create schema inventory`,

  // ended_at: the delete of the repository up to which all its contents have been marked as deleted.
  sql`create table inventory.repositories (
    id int generated always as identity primary key,
    registry text collate "C" not null,
    name text collate "C" not null,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    deleted_at timestamptz,
    ended_at timestamptz,
    unique (registry, name)
  ) with (fillfactor = 70)`,
  sql`create index repositories_to_end on inventory.repositories (id) where deleted_at > coalesce(ended_at, '-infinity')`,

  // A manifest in a repository. confirmed_at: when Tallyman read it from the registry, which proves that it exists, but is
  // no use of it. No foreign keys here and below: each would cost a look-up for every event, and the rows of one statement
  // are consistent.
  sql`create table inventory.repository_manifests (
    repository_id int not null,
    digest text collate "C" not null,
    pushed_at timestamptz,
    pulled_at timestamptz,
    checked_at timestamptz,
    confirmed_at timestamptz,
    first_seen_at timestamptz,
    deleted_at timestamptz,
    moved_at timestamptz,
    seen_at timestamptz generated always as (greatest(pushed_at, pulled_at, checked_at, confirmed_at)) stored,
    live boolean not null generated always as (
      coalesce(greatest(pushed_at, pulled_at, checked_at, confirmed_at) > coalesce(deleted_at, '-infinity'), false)
    ) stored,
    primary key (repository_id, digest)
  ) with (fillfactor = 80)`,
  sql`create index repository_manifests_digest on inventory.repository_manifests (digest)`,

  // A blob in a repository. manifest_at: the newest push of a manifest with the blob, which the registry would have refused
  // without the blob. implied: a manifest in the repository has it, which proves nothing after a known delete of the blob.
  sql`create table inventory.repository_blobs (
    repository_id int not null,
    digest text collate "C" not null,
    size bigint,
    pushed_at timestamptz,
    pulled_at timestamptz,
    checked_at timestamptz,
    mounted_at timestamptz,
    manifest_at timestamptz,
    confirmed_at timestamptz,
    implied boolean not null default false,
    first_seen_at timestamptz,
    deleted_at timestamptz,
    moved_at timestamptz,
    seen_at timestamptz generated always as (
      greatest(pushed_at, pulled_at, checked_at, mounted_at, manifest_at, confirmed_at)
    ) stored,
    live boolean not null generated always as (
      coalesce(
        greatest(pushed_at, pulled_at, checked_at, mounted_at, manifest_at, confirmed_at)
          > coalesce(deleted_at, '-infinity'),
        implied and deleted_at is null
      )
    ) stored,
    primary key (repository_id, digest)
  )`,
  // Sums over all blobs read only this index. A pull changes no column of the index, so the update of its row stays within the page.
  sql`create index repository_blobs_digest on inventory.repository_blobs (digest, repository_id) include (size) where live`,

  // A tag, and the digest of its newest push or pull. A delete of that digest in the repository deletes the tag as well;
  // live only means that the tag itself was not deleted. used_on changes at most once a day, so it can have an index: an
  // index on the times themselves would slow down every pull. If only a reconciliation found a tag, only that time is known.
  sql`create table inventory.tags (
    repository_id int not null,
    name text collate "C" not null,
    digest text collate "C",
    pointed_at timestamptz,
    pushed_at timestamptz,
    pulled_at timestamptz,
    checked_at timestamptz,
    first_seen_at timestamptz,
    deleted_at timestamptz,
    moved_at timestamptz,
    used_on date generated always as (
      (coalesce(greatest(pushed_at, pulled_at, checked_at), first_seen_at) at time zone 'UTC')::date
    ) stored,
    live boolean not null generated always as (coalesce(pointed_at > coalesce(deleted_at, '-infinity'), false)) stored,
    primary key (repository_id, name)
  ) with (fillfactor = 80)`,
  sql`create index tags_digest on inventory.tags (repository_id, digest)`,
  sql`create index tags_used on inventory.tags (used_on, repository_id, name) where live`,
  sql`create index tags_pushed on inventory.tags (coalesce(pushed_at, first_seen_at), repository_id, name) where live`,

  // The data of a manifest that does not depend on the repository: a digest has one content. tell_after: a job has added its
  // blobs to the repositories up to this id, as they are too many for one transaction; null if the job has nothing to do.
  sql`create table inventory.manifests (
    digest text collate "C" primary key,
    media_type text collate "C",
    size bigint,
    artifact_type text,
    subject text collate "C",
    config_digest text collate "C",
    os text,
    architecture text,
    variant text,
    contents_known boolean not null default false,
    tell_after int,
    attempts int not null default 0,
    next_attempt_at timestamptz default now(),
    last_error text
  )`,
  sql`create index manifests_to_tell on inventory.manifests (digest) where tell_after is not null`,
  sql`create index manifests_to_read on inventory.manifests (next_attempt_at) where not contents_known`,
  sql`create index manifests_unread_indexes on inventory.manifests (digest) where not contents_known and (media_type in
    ('application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json'))`,
  sql`create index manifests_subject on inventory.manifests (subject) where subject is not null`,

  sql`create table inventory.manifest_blobs (
    manifest_digest text collate "C" not null,
    position int not null,
    digest text collate "C" not null,
    media_type text collate "C",
    size bigint,
    primary key (manifest_digest, position)
  )`,
  sql`create index manifest_blobs_digest on inventory.manifest_blobs (digest)`,

  sql`create table inventory.manifest_children (
    manifest_digest text collate "C" not null,
    position int not null,
    digest text collate "C" not null,
    media_type text collate "C",
    size bigint,
    os text,
    architecture text,
    variant text,
    primary key (manifest_digest, position)
  )`,
  sql`create index manifest_children_digest on inventory.manifest_children (digest)`,

  // Changes: pushes by tag, and deletions. The key is the event's id.
  sql`create table inventory.changes (
    event_id uuid primary key,
    repository_id int not null,
    at timestamptz not null,
    action text not null,
    digest text collate "C",
    tag text collate "C",
    actor text,
    moved_at timestamptz
  )`,
  sql`create index changes_repository on inventory.changes (repository_id, tag, at)`,
  // Clients send a HEAD for a tag and then a GET for its digest: together these are a pull of the tag. Rows are kept for a
  // day; origin is a keyed hash. A row without a tag is the GET.
  sql`create table inventory.tag_lookups (
    event_id uuid primary key,
    repository_id int not null,
    digest text collate "C" not null,
    tag text collate "C",
    origin text collate "C" not null,
    at timestamptz not null,
    joined boolean not null default false,
    moved_at timestamptz
  )`,
  sql`create index tag_lookups_gets on inventory.tag_lookups (repository_id, digest, origin, at) where tag is null`,
  sql`create index tag_lookups_heads on inventory.tag_lookups (repository_id, digest, origin, tag, at) where tag is not null`,
  sql`create index tag_lookups_to_join on inventory.tag_lookups (event_id) where not joined`,
  sql`create index tag_lookups_at on inventory.tag_lookups using brin (at)`,

  // GitLab's renames. The contents of an event before the rename, with the old path, belong to the new path, even if the
  // event arrives late. carried_at: the first move of data to the new path, by the clock of the database.
  sql`create table inventory.renames (
    event_id uuid primary key,
    registry text collate "C" not null,
    what text not null,
    from_name text collate "C" not null,
    to_name text collate "C" not null,
    at timestamptz not null,
    actor text,
    carried_at timestamptz
  )`,
  sql`create index renames_at on inventory.renames (at)`,
  sql`create index changes_at on inventory.changes using brin (at)`,
  sql`create index changes_deletions on inventory.changes (at, event_id) where action <> 'push'`,
  sql`create index changes_deletions_in on inventory.changes (repository_id, at, event_id) where action <> 'push'`,
]

export const inventory: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}

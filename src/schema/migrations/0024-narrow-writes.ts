import { sql, type Kysely, type Migration } from 'kysely'

/** Fewer rows and index entries for each push, with the same answers. */
const statements = [
  // Pushes of the last day, which show whether a HEAD was part of a push. reference is a tag, or the digest of a manifest that
  // was pushed without a tag. A repeat of an event adds an equivalent row.
  sql`create table inventory.recent_pushes (
    repository_id int not null,
    reference text collate "C" not null,
    origin text collate "C" not null,
    at timestamptz not null,
    received_at timestamptz not null,
    moved_at timestamptz
  )`,
  sql`insert into inventory.recent_pushes
    select repository_id, coalesce(tag, digest), origin, at, received_at, moved_at
    from inventory.tag_lookups where method = 'PUT'`,
  sql`create index recent_pushes_reference on inventory.recent_pushes (repository_id, reference, at)`,
  sql`create index recent_pushes_received on inventory.recent_pushes using brin (received_at)`,
  sql`delete from inventory.tag_lookups where method = 'PUT'`,
  sql`drop index inventory.tag_lookups_pushes`,

  // A digest has few changes in other repositories, so four bytes of hash suffice to find its changes.
  sql`drop index inventory.changes_digest`,
  sql`create index changes_digest_hash on inventory.changes using hash (digest) where action = 'push'`,

  // An index entry shows whether its tag was pushed again. Before, that needed a separate index.
  sql`drop index inventory.tags_pushed_again`,
  sql`drop index inventory.tags_pushed_again_active`,
  sql`drop index inventory.tags_active`,
  sql`drop index inventory.tags_pushed`,
  sql`create index tags_active on inventory.tags (active_on, repository_id, name, is_pushed_again) where live`,
  sql`create index tags_pushed on inventory.tags (coalesce(pushed_at, first_seen_at), repository_id, name, is_pushed_again)
    where live`,

  // Removing old rows reads them by their day. Before, it read the whole table for each thousand rows.
  sql`create index event_times_seen_on on event_times (seen_on)`,
]

export const narrowWrites: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}

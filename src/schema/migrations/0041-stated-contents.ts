import { sql, type Kysely, type Migration } from 'kysely'

/**
 * `stated_by`: the registries whose events stated the list of a manifest; `typed_by`: those whose events stated its media type. An event
 * proves nothing about what another registry has under the same digest. Null: recorded by an earlier version, which is believed as
 * before, or proven by reading. `completed_by`: of those that stated the list, the registries of which one statement had every field
 * that is stored of the entries: the platform of an entry that another registry added is not known for them. `contents_known` is true only if the contents are known in every registry that has the manifest.
 *
 * `rejected_entries`: blobs of lists that are not believed, which are still to be removed from the repositories that have the manifest.
 */
export const statedContents: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`alter table inventory.manifests
      add column stated_by text[] collate "C", add column typed_by text[] collate "C",
      add column completed_by text[] collate "C"`.execute(db)
    // after_id: the repositories up to this id have been searched.
    await sql`create table inventory.rejected_entries (
      manifest_digest text collate "C" not null,
      digest text collate "C" not null,
      after_id int not null default 0,
      primary key (manifest_digest, digest)
    )`.execute(db)
  },
}

import { sql, type Kysely, type Migration } from 'kysely'

/**
 * `stated_by`: the registries whose events stated the list of a manifest; `typed_by`: those whose events stated its media type. An event
 * proves nothing about the contents of the same digest in another registry. Null: recorded by an earlier version, and believed as
 * before, or proven by reading. `completed_by`: the registries in `stated_by` with one statement that had every stored field of the
 * entries. For them, the platform that another registry added to an entry is unknown. `contents_known` is true only if the contents
 * are known in every registry that has the manifest.
 *
 * `rejected_entries`: blobs of rejected lists, which must still be removed from the repositories that have the manifest.
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

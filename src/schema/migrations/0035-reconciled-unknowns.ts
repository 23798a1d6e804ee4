import { sql, type Kysely, type Migration } from 'kysely'

/**
 * How much a reconciliation filled in: contents, platforms and subjects of manifests, and sizes of blobs, that the inventory did not
 * know and the registry showed. Earlier runs did not count it.
 */
export const reconciledUnknowns: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`alter table inventory.reconciliations
      add column filled_contents int not null default 0,
      add column filled_platforms int not null default 0,
      add column filled_subjects int not null default 0,
      add column filled_sizes int not null default 0`.execute(db)
  },
}

import { sql, type Kysely, type Migration } from 'kysely'

/** Runs of `inventory reconcile`: the position of each run, so that it can continue after a crash, and its results. */
const statements = [
  sql`create table inventory.reconciliations (
    id int generated always as identity primary key,
    registry text collate "C" not null,
    applied boolean not null,
    started_at timestamptz not null,
    updated_at timestamptz not null,
    finished_at timestamptz,
    last_repository text collate "C",
    repositories int not null default 0,
    tags int not null default 0,
    manifests int not null default 0,
    blobs int not null default 0,
    requests int not null default 0,
    unchecked int not null default 0
  )`,
  // At most one unfinished run for each registry.
  sql`create unique index reconciliations_under_way on inventory.reconciliations (registry) where finished_at is null`,
  sql`create index reconciliations_finished on inventory.reconciliations (registry, finished_at)`,

  // The repositories that a run has processed. After the run, only repositories with differences or errors stay.
  sql`create table inventory.reconciled_repositories (
    reconciliation_id int not null,
    repository text collate "C" not null,
    missing int not null default 0,
    stale int not null default 0,
    different int not null default 0,
    differences jsonb not null default '[]',
    error text,
    primary key (reconciliation_id, repository)
  )`,
]

export const reconciliations: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}

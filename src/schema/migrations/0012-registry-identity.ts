import { sql, type Kysely, type Migration } from 'kysely'

/** Tables of which at least one has a row in every installation that ever accepted a notification. */
const WITH_DATA = [
  'event_ids',
  'tallies',
  'receptions',
  'repositories',
  'rejected_events',
  'inventory.repositories',
  'pulls.registries',
  'pulls.pending',
  'pulls.totals',
]

/** The learned hosts and processes of registries, which identify the registry of a sender. Shared by all instances. */
const statements = [
  // One row. had_data: the installation had data before this migration, and therefore identifies registries by host until
  // the setting registry_identity changes that. revision: counts the changes to the two tables below.
  sql`create table registry_identity (
    only_row boolean primary key default true check (only_row),
    had_data boolean not null,
    revision bigint not null default 0
  )`,
  sql`insert into registry_identity (had_data) select ${sql.join(
    WITH_DATA.map((table) => sql`exists (select from ${sql.table(table)})`),
    sql` or `,
  )}`,

  // Each host that events of a registry contained, and the registry. A host other than the registry's name is an alias.
  sql`create table registry_hosts (
    host text collate "C" primary key,
    registry text collate "C" not null,
    first_heard_at timestamptz not null,
    last_heard_at timestamptz not null,
    revision bigint not null
  )`,

  // Each registry process (source.instanceID, new after each start), and its registry.
  sql`create table registry_processes (
    instance text collate "C" primary key,
    registry text collate "C" not null,
    first_heard_at timestamptz not null,
    last_heard_at timestamptz not null,
    revision bigint not null
  )`,

  // A process of one registry reported a host of another. Registries are never merged automatically.
  sql`create table registry_conflicts (
    registry text collate "C" not null,
    other text collate "C" not null,
    host text collate "C" not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    events bigint not null,
    primary key (registry, other, host)
  )`,
]

export const registryIdentity: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}

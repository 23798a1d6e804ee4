import { sql, type Kysely, type Migration } from 'kysely'

/** Pulls that are shown before their requests are settled: the result of folding `pulls.pending` if no more requests arrived. */
const statements = [
  // The transaction that stored a request. It finds all requests since a snapshot, in whatever order they arrive.
  sql`alter table pulls.pending add column xact xid8 not null default pg_current_xact_id()`,
  sql`create index pending_xact on pulls.pending (xact)`,

  // In a separate schema without permanent data: all rows are computed from pending requests.
  sql`create schema provisional`,
  // Outcomes with the columns of pulls.outcomes. A row that continues a row of pulls.outcomes has the same key.
  sql`create table provisional.outcomes (
    like pulls.outcomes including defaults,
    last_at timestamptz not null,
    primary key (registry, repository, at, id)
  )`,

  // One row: the process that folds provisionally, and the shown state: the requests of a snapshot, up to a time of the clock.
  // An erasure or a move begins a new epoch, so that the process drops its cached state.
  sql`create table provisional.run (
    number int primary key default 1 check (number = 1),
    holder text,
    until timestamptz not null default '-infinity',
    epoch bigint not null default 0,
    snapshot text,
    shown_to timestamptz
  )`,

  // The number of requests that were too many to be shown before they are settled.
  sql`create table provisional.hidden (
    registry text collate "C" primary key,
    from_at timestamptz not null,
    to_at timestamptz not null
  )`,
]

export const provisionalPulls: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}

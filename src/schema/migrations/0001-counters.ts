import { sql, type Kysely, type Migration } from 'kysely'

const statements = [
  // Ids of recorded events, so that each event counts once. They expire: see counters/retention.
  sql`create table event_ids (id uuid primary key, seen_on date not null default current_date)`,
  sql`create index event_ids_seen_on on event_ids using brin (seen_on)`,

  // Counts per UTC day: events of the rules, and skips as "skip:<reason>".
  sql`create table tallies (name text, day date, value bigint not null, primary key (name, day))`,

  // Events that could not be read, with the reason. No address, no token.
  sql`create table rejected_events (
    id uuid primary key,
    received_at timestamptz not null default now(),
    reason text not null,
    detail text not null,
    excerpt text not null
  )`,
  sql`create index rejected_events_received_at on rejected_events (received_at)`,

  // The first known event of each repository. if_first: what the event counted for because it was first. if_known: what it
  // would have counted for otherwise, as an older event may still arrive.
  sql`create table repositories (
    registry text,
    name text,
    first_at timestamptz not null,
    first_event uuid not null,
    if_first jsonb not null,
    if_known jsonb not null,
    primary key (registry, name)
  )`,
  sql`create index repositories_first_at on repositories (first_at)`,

  // Sketches that must be rebuilt from repositories.if_first, because an older first event arrived.
  sql`create table stale_sketches (key text primary key)`,

  // Names that the user directory has not resolved, and what these users are to be counted for. asked_at: the last failed
  // look-up of the name; the names with the oldest one are looked up first.
  sql`create table unresolved_users (
    name text, event text, day date, asked_at timestamptz, primary key (name, event, day)
  )`,

  // HyperLogLog sketches in Redis's format, if no Redis is configured.
  sql`create table sketches (key text primary key, value bytea not null, expires_at timestamptz not null)`,
  sql`alter table sketches alter column value set storage external`,

  sql`create table installation (
    only_row boolean primary key default true check (only_row),
    uuid uuid not null,
    installed_at timestamptz not null,
    users_key_fingerprint text not null
  )`,

  sql`create table service_pings (
    recorded_at timestamptz primary key,
    payload json not null,
    metadata json not null,
    sent_at timestamptz,
    attempts int not null default 0,
    next_attempt_at timestamptz,
    last_error text
  )`,

  // Leases for work that must not run twice at the same time across instances.
  sql`create table leases (name text primary key, holder text not null, until timestamptz not null)`,

  // When the last event of each registry arrived, to notice a silent registry.
  sql`create table receptions (
    registry text primary key,
    last_event_at timestamptz not null,
    last_received_at timestamptz not null,
    events bigint not null
  )`,
]

export const counters: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}

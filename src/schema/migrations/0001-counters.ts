import { sql, type Kysely, type Migration } from 'kysely'

const statements = [
  // Ids of events already taken, so that each counts once. Forgotten after a while: see counters/retention.
  sql`create table event_ids (id uuid primary key, seen_on date not null default current_date)`,
  sql`create index event_ids_seen_on on event_ids using brin (seen_on)`,

  // How often something happened, per UTC day: events of the rules, and skips as "skip:<reason>".
  sql`create table tallies (name text, day date, value bigint not null, primary key (name, day))`,

  // Events that could not be read, with why. No address, no token.
  sql`create table rejected_events (
    id uuid primary key,
    received_at timestamptz not null default now(),
    reason text not null,
    detail text not null,
    excerpt text not null
  )`,
  sql`create index rejected_events_received_at on rejected_events (received_at)`,

  // The first thing known of each repository. if_first is what its first event counted for because it was first,
  // if_known what it would have counted for otherwise: an older event may still arrive.
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

  // Sketches that must be made anew from repositories.if_first, because an older first event arrived.
  sql`create table stale_sketches (key text primary key)`,

  // Names that the user directory could not be asked for, and what their bearers are to be counted for. asked_at is when a
  // name was last asked for in vain: those that were asked for longest ago come first.
  sql`create table unresolved_users (
    name text, event text, day date, asked_at timestamptz, primary key (name, event, day)
  )`,

  // HyperLogLog sketches in Redis's format, where no Redis is configured.
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

  // One holder at a time for what must not run twice across instances.
  sql`create table leases (name text primary key, holder text not null, until timestamptz not null)`,

  // When each registry was last heard of, so that a silent one is noticed.
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

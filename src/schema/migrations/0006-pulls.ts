import { sql, type Kysely, type Migration } from 'kysely'

/** Requests as they arrive, the results of folding them, and the secrets that make origins anonymous. */
const statements = [
  sql`create schema pulls`,

  sql`create table pulls.salts (
    rotation text not null,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    salt text not null,
    primary key (rotation, starts_at)
  )`,

  // Requests that were not folded yet. All data for the fold is one text, which the fold reads in any case.
  sql`create table pulls.pending (
    id uuid not null,
    registry text collate "C" not null,
    at timestamptz not null,
    request text not null
  )`,
  sql`create index pending_at on pulls.pending (registry, at)`,

  // Requests that were folded, kept for some time. Numbered in the order in which the fold stored them.
  sql`create table pulls.requests (
    number bigint generated always as identity primary key,
    id uuid not null,
    at timestamptz not null,
    registry text collate "C" not null,
    repository text collate "C" not null,
    origin text collate "C" not null,
    is_late boolean not null,
    request text not null
  )`,
  sql`create index requests_at on pulls.requests using brin (at)`,

  // For each registry: the time up to which it was folded; its newest request, and since when no newer one arrived; its last
  // request for a blob; the first day that is not in pulls.days yet, and the first day of which the outcomes are still kept.
  sql`create table pulls.registries (
    registry text collate "C" primary key,
    folded_to timestamptz not null default '-infinity',
    newest_at timestamptz,
    newest_since timestamptz,
    blobs_at timestamptz,
    rolled_to date not null default '-infinity',
    kept_from date not null default '-infinity'
  )`,

  // The open invocations of each origin in each repository at the end of the last fold.
  sql`create table pulls.chains (
    registry text collate "C" not null,
    repository text collate "C" not null,
    origin text collate "C" not null,
    over_at timestamptz not null,
    who text not null,
    state text not null,
    primary key (registry, repository, origin)
  )`,
  sql`create index chains_over on pulls.chains (registry, over_at)`,

  // Invocations, and other counted outcomes: artifacts, layers without a manifest, failures.
  sql`create table pulls.outcomes (
    id text collate "C" primary key,
    what text not null,
    at timestamptz not null,
    registry text collate "C" not null,
    repository text collate "C" not null,
    origin text collate "C" not null,
    endpoint text collate "C" not null,
    source text not null,
    by_tag boolean not null default false,
    tag text collate "C",
    digest text collate "C",
    gets int not null default 0,
    platform text not null default 'unknown',
    platform_from text,
    platform_pulls int not null default 0,
    layers int not null default 0,
    bytes bigint not null default 0,
    starts_session boolean not null default false,
    shows_blobs boolean not null default false,
    client text not null,
    client_version text,
    kind text not null,
    os text,
    arch text,
    country text,
    network text,
    network_kind text,
    signed_in boolean not null default false
  )`,
  sql`create index outcomes_at on pulls.outcomes (at)`,
  // Outcomes of a UTC day, kept for ever. All columns up to \`source\` identify a row. Sketches are in Redis's format: of the
  // origins and endpoints that pulled, and of the origins of all invocations.
  sql`create table pulls.days (
    day date not null,
    registry text collate "C" not null,
    repository text collate "C" not null,
    tag text collate "C",
    digest text collate "C",
    platform text not null,
    platform_from text,
    os text,
    arch text,
    client text not null,
    client_version text,
    kind text not null,
    country text,
    network text,
    network_kind text,
    signed_in boolean not null,
    source text not null,
    invocations bigint not null,
    pulls bigint not null,
    downloads_confirmed bigint not null,
    downloads_assumed bigint not null,
    platform_pulls bigint not null,
    manifest_gets bigint not null,
    sessions bigint not null,
    pull_by_tag bigint not null,
    pull_by_digest bigint not null,
    version_check bigint not null,
    artifact_fetches bigint not null,
    orphan_blob_sessions bigint not null,
    failed_requests bigint not null,
    bytes bigint not null,
    origins bytea not null,
    endpoints bytea not null,
    sources bytea not null
  )`,
  sql`create index days_repository on pulls.days (registry, repository, day)`,
  sql`create index days_day on pulls.days (day)`,
  sql`create index outcomes_repository on pulls.outcomes (registry, repository, at)`,
]

export const pulls: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}

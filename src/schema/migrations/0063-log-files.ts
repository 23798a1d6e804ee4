import { sql, type Kysely, type Migration } from 'kysely'

const statements = [
  // The files of access logs that were read. A file is known by its lines, not by its name: a log that was renamed or compressed is
  // the same. `chain` is the hash of all lines that were read.
  sql`create schema logs`,
  sql`create table logs.files (
    number bigint generated always as identity primary key,
    registry text collate "C" not null,
    format text not null,
    wrapper text,
    name text not null,
    head_lines int not null,
    chain bytea not null,
    lines bigint not null,
    counts jsonb not null,
    first_at timestamptz,
    last_at timestamptz,
    loaded_at timestamptz not null
  )`,
  // The hashes of the beginnings of a file, of which the longest has `head_lines` lines.
  sql`create table logs.heads (
    file bigint not null references logs.files on delete cascade,
    registry text collate "C" not null,
    lines int not null,
    hash bytea not null,
    primary key (file, lines)
  )`,
  sql`create index heads_hash on logs.heads (registry, hash)`,

  // Requests from files, in columns: those of a UTC day in one portion of a file. They are compressed already.
  sql`create table pulls.segments (
    number bigint generated always as identity primary key,
    file bigint not null,
    registry text collate "C" not null,
    day date not null,
    requests int not null,
    columns bytea not null
  )`,
  sql`alter table pulls.segments alter column columns set storage external`,
  sql`create index segments_day on pulls.segments (registry, day)`,

  // The days that segments have requests of. A day is folded again if it has changed since: by a new segment, or because the state at
  // the end of the day before is another one.
  sql`create table pulls.segment_days (
    registry text collate "C" not null,
    day date not null,
    changes bigint not null default 1,
    folded_changes bigint not null default 0,
    changed_at timestamptz not null,
    state text,
    -- The segments of this day and of all days before it were deleted. Of such days, only the last one is kept.
    expired boolean not null default false,
    primary key (registry, day)
  )`,
  sql`create index segment_days_changed on pulls.segment_days (registry, day) where changes > folded_changes`,
]

/** Files of access logs, and the requests in them. */
export const logFiles: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}

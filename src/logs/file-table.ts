import { sql, type RawBuilder } from 'kysely'
import { isoTime, type Micros } from '../events/calendar.js'
import type { Sql } from '../storage/sql/database.js'

/** The first lines of a file, which identify it: how many, and their hash. */
export type Head = { lines: number; hash: Buffer }

/** What was read of a file. */
export type LogFile = {
  number: string
  format: string
  wrapper: string | undefined
  lines: number
  /** The hash of all lines that were read. */
  chain: Buffer
  counts: FileCounts
}

/** Numbers of lines, by what was in them. */
export type FileCounts = Record<string, number>

/** What one portion of a file adds. */
export type FilePortion = {
  /** All lines of the file up to the end of the portion. */
  lines: number
  chain: Buffer
  counts: FileCounts
  /** Infinity and -Infinity if the portion has no requests to read. */
  firstAt: Micros
  lastAt: Micros
  /** The beginnings of the file, as far as it was read. */
  heads: readonly Head[]
}

export type NewFile = {
  registry: string
  format: string
  wrapper: string | undefined
  name: string
  heads: readonly Head[]
  known: readonly string[]
  now: Date
}

type FileRow = Omit<LogFile, 'wrapper' | 'lines'> & { wrapper: string | null; lines: string }

/** The key of the advisory lock under which a new file is stored. */
const NEW_FILES = 7_231_520

/**
 * The files that begin like a log: the longest beginning that both have is the same.
 * @param heads the beginnings of the log, the shortest first
 */
export const filesWith = async (db: Sql, registry: string, heads: readonly Head[]): Promise<LogFile[]> => {
  const { rows } = await sql<FileRow>`
    select f.number::text as number, f.format, f.wrapper, f.lines::text as lines, f.chain, f.counts
    from unnest(${heads.map(({ lines }) => lines)}::int[], ${heads.map(({ hash }) => hash)}::bytea[]) as own (lines, hash)
      join logs.heads h on h.registry = ${registry} and h.lines = own.lines and h.hash = own.hash
      join logs.files f on f.number = h.file and h.lines = least(f.head_lines, ${heads.at(-1)?.lines ?? 0})
    order by f.lines desc
  `.execute(db)
  return rows.map(({ wrapper, lines, chain, ...row }) => ({
    ...row,
    wrapper: wrapper ?? undefined,
    lines: Number(lines),
    chain: Buffer.from(chain),
  }))
}

/**
 * Stores a new file, of which nothing was read yet.
 * @param known the files that begin like it, as `filesWith` found them
 * @returns its number; undefined if another process has stored such a file meanwhile
 */
export const addFile = async (
  tx: Sql,
  { registry, format, wrapper, name, heads, known, now }: NewFile,
): Promise<string | undefined> => {
  await sql`select pg_advisory_xact_lock(${NEW_FILES}, hashtext(${registry}))`.execute(tx)
  const others = await filesWith(tx, registry, heads)
  if (others.some(({ number }) => !known.includes(number))) return undefined
  const { rows } = await sql<{ number: string }>`
    insert into logs.files (registry, format, wrapper, name, head_lines, chain, lines, counts, loaded_at)
    values (${registry}, ${format}, ${wrapper ?? null}, ${name}, 0, '', 0, '{}', ${now})
    returning number::text as number
  `.execute(tx)
  return rows[0]?.number
}

/**
 * Adds a portion to what was read of a file.
 * @param from the lines that were read before
 * @returns false if another process has read on meanwhile
 */
export const addPortion = async (
  tx: Sql,
  file: string,
  { from, portion, now }: { from: number; portion: FilePortion; now: Date },
): Promise<boolean> => {
  const { lines, chain, counts, firstAt, lastAt, heads } = portion
  const time = (at: Micros): string | null => (Number.isFinite(at) ? isoTime(at) : null)
  const { rows } = await sql`
    update logs.files set lines = ${lines}, chain = ${chain}, head_lines = ${heads.at(-1)?.lines ?? 0}, loaded_at = ${now},
      counts = ${withCounts(counts)},
      first_at = least(first_at, ${time(firstAt)}::timestamptz), last_at = greatest(last_at, ${time(lastAt)}::timestamptz)
    where number = ${file}::bigint and lines = ${from}
    returning 1
  `.execute(tx)
  if (rows.length === 0) return false
  await sql`
    insert into logs.heads (file, registry, lines, hash)
    select number, registry, own.* from logs.files,
      unnest(${heads.map((head) => head.lines)}::int[], ${heads.map(({ hash }) => hash)}::bytea[]) as own (lines, hash)
    where number = ${file}::bigint
    on conflict do nothing
  `.execute(tx)
  return true
}

/** Adds to the counts of a file. */
export const addCounts = async (tx: Sql, file: string, counts: FileCounts): Promise<void> => {
  await sql`update logs.files set counts = ${withCounts(counts)} where number = ${file}::bigint`.execute(tx)
}

/** The counts of a row, with others added. */
const withCounts = (added: FileCounts): RawBuilder<unknown> => sql`(
  select coalesce(jsonb_object_agg(name, value), '{}') from (
    select name, sum(value::bigint) as value
    from (
      select * from jsonb_each_text(counts) union all select * from jsonb_each_text(${JSON.stringify(added)}::jsonb)
    ) as all_counts (name, value)
    group by name
  ) summed
)`

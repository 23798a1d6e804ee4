import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { erasuresDuringImport } from '../erasures/noted-erasures.js'
import { bytesOf, openSegment, segmentIn, type OpenSegment } from './segment-bytes.js'
import { isInScope, withoutErased } from './without-erased.js'
import type { Segment } from './segment.js'

/** Requests of one registry and one UTC day (`2026-11-30`). */
export type DaySegment = { registry: string; day: string; segment: Segment }

/**
 * Stores segments of a file, and marks their days as changed. Requests that an unfinished erasure names are not stored: the erasure may
 * have read the segments of their days already.
 * @returns the number of requests that are too late: their days cannot change any more
 */
export const keepSegments = async (
  tx: Sql,
  { file, segments: imported, now }: { file: string; segments: readonly DaySegment[]; now: Date },
): Promise<number> => {
  if (imported.length === 0) return 0
  const borders = await firstChangeableDays(tx, [...new Set(imported.map(({ registry }) => registry))].sort())
  const inTime = imported.filter(({ registry, day }) => day >= (borders.get(registry) ?? ''))
  const late = imported.filter((one) => !inTime.includes(one)).reduce((sum, { segment }) => sum + segment.length, 0)
  const segments = await withoutUnfinished(tx, inTime)
  if (segments.length === 0) return late
  const columns = await Promise.all(segments.map(async ({ segment }) => bytesOf(segment)))
  const [registries, days] = [segments.map(({ registry }) => registry), segments.map(({ day }) => day)]
  await sql`
    insert into pulls.segments (file, registry, day, requests, columns)
    select ${file}::bigint, * from unnest(
      ${registries}::text[], ${days}::date[], ${segments.map(({ segment }) => segment.length)}::int[], ${columns}::bytea[]
    )
  `.execute(tx)
  await sql`
    insert into pulls.segment_days as d (registry, day, changed_at)
    select distinct registry, day, ${now}::timestamptz from unnest(${registries}::text[], ${days}::date[]) as new (registry, day)
    order by registry, day
    on conflict (registry, day) do update set changes = d.changes + 1, changed_at = excluded.changed_at
  `.execute(tx)
  return late
}

/**
 * For each registry, the first day that is not rolled up, and of which the segments are kept; missing if that is every day. No other
 * transaction changes it until this one ends.
 */
const firstChangeableDays = async (tx: Sql, registries: readonly string[]): Promise<Map<string, string>> => {
  await sql`
    insert into pulls.registries (registry) select * from unnest(${registries}::text[]) on conflict do nothing
  `.execute(tx)
  const { rows } = await sql<{ registry: string; day: string | null }>`
    select registry, greatest(
      case when isfinite(rolled_to) then rolled_to end,
      (select max(day) + 1 from pulls.segment_days d where d.registry = r.registry and expired)
    )::text as day
    from pulls.registries r where registry = any(${registries}::text[]) order by registry for share
  `.execute(tx)
  return new Map(rows.flatMap(({ registry, day }) => (day === null ? [] : [[registry, day]])))
}

/** A segment in the table, without its columns. */
export type StoredSegment = { number: string; registry: string; requests: number }

/** Of all registries if undefined. */
type Registries = readonly string[] | undefined

const isOf = (registries: Registries): RawBuilder<unknown> =>
  registries ? sql`registry = any(${registries}::text[])` : sql`true`

/** The segments of a day, the oldest first. */
export const listSegments = async (tx: Sql, day: string, registries: Registries): Promise<StoredSegment[]> => {
  const { rows } = await sql<StoredSegment>`
    select number::text as number, registry, requests from pulls.segments
    where day = ${day}::date and ${isOf(registries)} order by segments.number
  `.execute(tx)
  return rows
}

/** Requests of segments that one statement reads, if they are of several segments. */
const REQUESTS_AT_ONCE = 50_000

/** Reads segments one after the other, so that few of them are in memory. */
export const eachSegment = async (
  tx: Sql,
  segments: readonly Pick<StoredSegment, 'number' | 'requests'>[],
  visit: (segment: OpenSegment) => void,
): Promise<void> => {
  let waiting: string[] = []
  let requests = 0
  const read = async (): Promise<void> => {
    const { rows } = await sql<{ columns: Uint8Array }>`
      select columns from pulls.segments where number = any(${waiting}::bigint[]) order by number
    `.execute(tx)
    waiting = []
    requests = 0
    for (const { columns } of rows) visit(await openSegment(columns))
  }
  for (const segment of segments) {
    if (waiting.length > 0 && requests + segment.requests > REQUESTS_AT_ONCE) await read()
    waiting.push(segment.number)
    requests += segment.requests
  }
  if (waiting.length > 0) await read()
}

/** Reads one segment. @throws if there is no such segment, or its bytes are damaged */
export const readSegment = async (tx: Sql, number: string): Promise<Segment> => {
  const { rows } = await sql<{ columns: Buffer }>`
    select columns from pulls.segments where number = ${number}::bigint
  `.execute(tx)
  return segmentIn(Buffer.from(rows[0]?.columns ?? []))
}

const withoutUnfinished = async (tx: Sql, segments: readonly DaySegment[]): Promise<DaySegment[]> => {
  const erasures = await erasuresDuringImport(tx)
  return segments
    .map(({ registry, day, segment }) => ({
      ...{ registry, day },
      segment: erasures.filter((one) => isInScope(registry, one)).reduce(withoutErased, segment),
    }))
    .filter(({ segment }) => segment.length > 0)
}

/** A stored segment, with the number of its row. */
export type NumberedSegment = OpenSegment & { number: string; registry: string }

/** Reads the segments of a day one after the other, the newest first: one of them is in memory at a time. */
export async function* eachSegmentOf(tx: Sql, day: string, registries: Registries): AsyncGenerator<NumberedSegment> {
  for (const { number } of (await listSegments(tx, day, registries)).reverse()) {
    const stored = await sql<{ registry: string; columns: Buffer }>`
      select registry, columns from pulls.segments where number = ${number}::bigint
    `.execute(tx)
    // It may have been deleted since.
    const [row] = stored.rows
    if (row) yield { number, registry: row.registry, ...(await openSegment(Buffer.from(row.columns))) }
  }
}

/** The days that have segments in a range, the newest first, each with the number of its requests. */
export const daysWithSegments = async (
  tx: Sql,
  { registries, first, last }: { registries: Registries; first: string; last: string },
): Promise<{ day: string; requests: number }[]> => {
  const { rows } = await sql<{ day: string; requests: number }>`
    select day::text as day, sum(requests)::float8 as requests from pulls.segments
    where day >= ${first}::date and day <= ${last}::date and ${isOf(registries)}
    group by pulls.segments.day order by pulls.segments.day desc
  `.execute(tx)
  return rows
}

/** Replaces the requests of a segment, or deletes it if there are none. */
export const replaceSegment = async (tx: Sql, number: string, segment: Segment): Promise<void> => {
  if (segment.length === 0) await sql`delete from pulls.segments where number = ${number}::bigint`.execute(tx)
  else
    await sql`
      update pulls.segments set requests = ${segment.length}, columns = ${await bytesOf(segment)}
      where number = ${number}::bigint
    `.execute(tx)
}

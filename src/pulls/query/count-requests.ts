import { sql } from 'kysely'
import { utcDay, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { readSegments, type WantedRows } from './imported-requests.js'
import { isLive, readTo } from './query-requests.js'
import type { RequestsQuery } from './requests-parameters.js'

/** Requests of a day or a repository, or of both; a column that the query does not group by is missing. */
type CountedRequests = { day?: string; repository?: string; requests: number; bytes: number }

/** Numbers of requests, by day (the newest first) and by repository (those with most requests first). */
export type CountsAnswer = { columns: string[]; rows: CountedRequests[]; is_cut: boolean; notes: string[] }

type Counts = Map<string, { day: string; repository: string; requests: number; bytes: number }>

/**
 * Counts requests of live registries (`pulls.requests`) and of imported files (`pulls.segments`).
 * @param most imported requests that are read at most, unless a single day has more; the answer then has only newer days
 */
export const countRequests = async (db: Sql, query: RequestsQuery, most?: number): Promise<CountsAnswer> => {
  const { from, to, groupBy, limit } = query
  const counts: Counts = new Map()
  const countsOf = (day: string, repository: string): { requests: number; bytes: number } => {
    const group = {
      day: groupBy.includes('day') ? day : '',
      repository: groupBy.includes('repository') ? repository : '',
    }
    const key = `${group.day} ${group.repository}`
    let counted = counts.get(key)
    if (!counted) counts.set(key, (counted = { ...group, requests: 0, bytes: 0 }))
    return counted
  }
  const { readFrom, isCut } = await readSegments(db, query, {
    onSegment: (rows) => {
      countIn(rows, { from, to }, countsOf)
    },
    isEnough: () => false,
    most,
  })
  const { rows: live } = await sql<{ day: string; repository: string; requests: number; bytes: number }>`
    select (at at time zone 'UTC')::date::text as day, repository, count(*)::float8 as requests,
      coalesce(sum((request::jsonb->>'bytes')::numeric), 0)::float8 as bytes
    from pulls.requests where ${isLive({ ...query, from: readFrom })} group by 1, 2
  `.execute(db)
  for (const { day, repository, requests, bytes } of live) {
    const counted = countsOf(day, repository)
    counted.requests += requests
    counted.bytes += bytes
  }
  const sorted = [...counts.values()].sort(
    (a, b) => compareTexts(b.day, a.day) || b.requests - a.requests || compareTexts(a.repository, b.repository),
  )
  const notes = [
    ...(isCut ? [readTo(readFrom)] : []),
    ...(sorted.length > limit ? ['More groups exist; raise limit.'] : []),
  ]
  return {
    columns: [...groupBy, 'requests', 'bytes'],
    rows: sorted.slice(0, limit).map(({ day, repository, ...numbers }) => ({
      ...(groupBy.includes('day') && { day }),
      ...(groupBy.includes('repository') && { repository }),
      ...numbers,
    })),
    is_cut: notes.length > 0,
    notes,
  }
}

const compareTexts = (a: string, b: string): number => Number(a > b) - Number(a < b)

/** A segment has requests of one day. */
const countIn = (
  { segment, isWantedRow }: WantedRows,
  { from, to }: { from: Micros; to: Micros },
  countsOf: (day: string, repository: string) => { requests: number; bytes: number },
): void => {
  const day = utcDay(segment.at[0] ?? 0)
  const byWhat = segment.whats.map(() => ({ requests: 0, bytes: 0 }))
  for (const [row, at] of segment.at.entries()) {
    const own = byWhat[segment.what[row] ?? 0]
    if (!own || at < from || at >= to || !isWantedRow(row)) continue
    own.requests++
    own.bytes += Math.max(0, segment.bytes[row] ?? 0)
  }
  for (const [number, { requests, bytes }] of byWhat.entries()) {
    if (requests === 0) continue
    const counted = countsOf(day, segment.names[segment.whats[number]?.repository ?? 0] ?? '')
    counted.requests += requests
    counted.bytes += bytes
  }
}

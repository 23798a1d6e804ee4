import { sql, type RawBuilder } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { idOf, IS_HEAD, NONE, OBJECTS } from '../fold/columns.js'
import { readPending, type PendingRow } from '../requests/pending.js'
import { isAnyOf } from './filters.js'
import type { Segment } from '../segments/segment.js'
import { readSegments, type WantedRows } from './imported-requests.js'
import { detailsOf, type RequestDetails, type StoredRequest } from './requests-after.js'
import { compareKeys, cursorOf, type RequestKey, type RequestsQuery } from './requests-parameters.js'

export type FoundRequest = Omit<StoredRequest, 'cursor'>

/** A page of requests, the newest first. */
export type RequestsAnswer = {
  requests: FoundRequest[]
  /** The value of `after` for the next page; missing if there are no more requests. */
  next?: string
  is_cut: boolean
  notes: string[]
}

type Found = { key: RequestKey; request: FoundRequest }

/**
 * Finds single requests of live registries (`pulls.requests`) and of imported files (`pulls.segments`).
 * @param most imported requests that are read at most, unless a single day has more
 */
export const queryRequests = async (db: Sql, query: RequestsQuery, most?: number): Promise<RequestsAnswer> => {
  const { after, from, limit } = query
  const to = after ? Math.min(query.to, after.at + 1) : query.to
  const isNext = (key: RequestKey): boolean =>
    key.at >= from && key.at < to && (after === undefined || compareKeys(key, after) > 0)
  let found = await liveRequests(db, { ...query, to }, limit + 1)
  const { readFrom, isCut } = await readSegments(
    db,
    { ...query, to },
    {
      onSegment: (rows) => {
        found = firstOf([...found, ...requestsIn(rows, isNext, limit + 1)], limit + 1)
      },
      isEnough: (at) => found.filter(({ key }) => key.at >= at).length > limit,
      most,
    },
  )
  const complete = found.filter(({ key }) => key.at >= readFrom)
  const page = complete.slice(0, limit)
  const last = page.at(-1)
  const more = complete.length > limit
  const end = more ? last?.key : isCut ? firstBefore(readFrom) : undefined
  return {
    requests: page.map(({ request }) => request),
    ...(end && { next: cursorOf(end) }),
    is_cut: end !== undefined,
    notes: isCut && !more ? [readTo(readFrom)] : [],
  }
}

/** The position before all requests that are older than a moment. */
const firstBefore = (at: Micros): RequestKey => ({ at: at - 1, isImported: false, number: MOST_NUMBER, row: 0 })

/** Larger than the number of any request, and with as many digits as `after` may have. */
const MOST_NUMBER = 999_999_999_999_999

/** The note of an answer that read too many imported requests. */
export const readTo = (at: Micros): string =>
  `Only requests since ${isoTime(at).slice(0, 10)} were read, because there are many; choose a shorter period or one registry.`

const firstOf = (found: readonly Found[], most: number): Found[] =>
  [...found].sort((a, b) => compareKeys(a.key, b.key)).slice(0, most)

/** Conditions on `pulls.requests`. */
export const isLive = ({ filters, from, to }: Pick<RequestsQuery, 'filters' | 'from' | 'to'>): RawBuilder<unknown> => {
  const { registries, repository, tag, digest, origin } = filters
  return sql.join(
    [
      sql`at >= ${isoTime(from)}::timestamptz and at < ${isoTime(to)}::timestamptz`,
      ...(registries === undefined ? [] : [sql`registry = any(${registries}::text[])`]),
      ...(repository === undefined ? [] : [isAnyOf(sql`repository`, [repository])]),
      ...(origin === undefined ? [] : [sql`origin = ${origin}`]),
      ...(tag === undefined ? [] : [isAnyOf(sql`(request::jsonb->>'tag')`, [tag])]),
      ...(digest === undefined ? [] : [isAnyOf(sql`(request::jsonb->>'digest')`, [digest])]),
    ],
    sql` and `,
  )
}

const liveRequests = async (db: Sql, query: RequestsQuery, most: number): Promise<Found[]> => {
  const { after } = query
  const isNext = after
    ? sql`(at < ${isoTime(after.at)}::timestamptz
        or at = ${isoTime(after.at)}::timestamptz and ${!after.isImported} and number < ${after.number})`
    : sql`true`
  const { rows } = await sql<PendingRow & { registry: string; number: string; isLate: boolean }>`
    select number::text as number, id, registry, repository, origin, is_late as "isLate", request, who from pulls.requests
    where ${isLive(query)} and ${isNext}
    order by at desc, pulls.requests.number desc limit ${most}
  `.execute(db)
  return rows.map(({ number, isLate, registry, ...row }) => {
    const { id, repository, origin } = row
    const details = readPending(row, registry)
    return {
      key: { at: details.at, isImported: false, number: Number(number), row: 0 },
      request: { id, registry, repository, origin, is_late: isLate, ...detailsOf(details) },
    }
  })
}

/** The first wanted requests of a segment. */
const requestsIn = (
  { number, registry, segment, isWantedRow }: WantedRows,
  isNext: (key: RequestKey) => boolean,
  most: number,
): Found[] => {
  const keyOf = (row: number): RequestKey => ({
    ...{ at: segment.at[row] ?? 0, isImported: true, number: Number(number), row },
  })
  let rows: number[] = []
  const trim = (): number[] => rows.sort((a, b) => compareKeys(keyOf(a), keyOf(b))).slice(0, most)
  for (let row = 0; row < segment.length; row++) {
    if (!isWantedRow(row) || !isNext(keyOf(row))) continue
    rows.push(row)
    if (rows.length >= 4 * most) rows = trim()
  }
  return trim().map((row) => ({ key: keyOf(row), request: requestAt(segment, row, registry) }))
}

const requestAt = (segment: Segment, row: number, registry: string): FoundRequest => {
  const what = segment.whats[segment.what[row] ?? 0]
  const { origin = '', who = '{}' } = segment.requesters[segment.requester[row] ?? 0] ?? {}
  const textOf = (name = NONE): string | undefined => (name === NONE ? undefined : segment.names[name])
  const bytes = segment.bytes[row] ?? NONE
  return {
    ...{ id: idOf(segment, row), registry, repository: textOf(what?.repository) ?? '', origin, is_late: false },
    ...detailsOf({
      ...{ at: segment.at[row] ?? 0, method: ((what?.flags ?? 0) & IS_HEAD) > 0 ? 'HEAD' : 'GET', who },
      ...{ object: OBJECTS[what?.object ?? 0] ?? 'blob', status: what?.status ?? 0 },
      ...{ tag: textOf(what?.tag), digest: textOf(what?.digest), mediaType: textOf(what?.mediaType) },
      ...(bytes !== NONE && { bytes }),
    } as RequestDetails),
  }
}

import { sql } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { Database, Sql } from '../../storage/sql/database.js'
import { inSteps, ROWS_AT_ONCE } from '../../storage/sql/batched.js'
import { headsAmong, lookUpHeads, type LookedUp } from './look-up-heads.js'
import type { Share } from './share.js'
import { readPending, type PendingRequest, type PendingRow } from '../requests/pending.js'

/** The key of the advisory lock under which requests get their numbers. */
const NUMBERING = 7_231_505

/** Pending requests of a registry after `since` and up to `until`, of which the first `atOnce` are taken. */
type PendingRange = { registry: string; since: Micros; until: Micros; atOnce: number }

export type TakenRequests = {
  requests: PendingRequest[]
  /** Requests that arrived too late to be folded; `requests` does not contain them. */
  late: PendingRequest[]
  /** The number of HEADs that were part of a push, and so no use; neither list contains them. */
  beforePush: number
  /** The total number of requests that were taken. */
  taken: number
  /** All requests up to this moment were taken; requests with equal times are taken together. */
  until: Micros
  isMore: boolean
}

/**
 * Takes pending requests of a registry, and stores them in `pulls.requests` for clients of `GET /requests`. The previous name of an
 * origin is removed: no one may know it once its salt is erased. Numbers are assigned in the order of commits, so a client that has
 * read up to a number has missed no smaller number.
 * @param range begins after the requests that the same transaction took before: their index entries exist until it ends
 * @param foldedTo the moment up to which requests were folded before
 * @param known the HEADs that were looked up before
 */
export const takeRequests = async (
  tx: Sql,
  { registry, since, until, atOnce }: PendingRange,
  { foldedTo, share, known }: { foldedTo: Micros; share: Share; known: LookedUp },
): Promise<TakenRequests> => {
  const isIn = sql`registry = ${registry} and at > ${timeOf(since)}::timestamptz and at <= ${timeOf(until)}::timestamptz`
  const { rows } = await sql<PendingRow & { isLate: boolean }>`
    with last as (
      select at from pulls.pending where ${isIn} order by at offset ${atOnce - 1} limit 1
    ), taken as (
      delete from pulls.pending where ${isIn} and at <= coalesce((select at from last), 'infinity')
      returning id, registry, at, repository, origin, request, who, at <= ${timeOf(foldedTo)}::timestamptz as is_late
    ), stored as (
      insert into pulls.requests (id, registry, at, repository, origin, request, who, is_late)
      select id, registry, at, repository, origin,
        case when strpos(request, '"previous"') > 0 then (request::jsonb - 'previous')::text else request end, who, is_late
      from taken
    )
    select id, repository, origin, request, who, is_late as "isLate" from taken
  `.execute(tx)
  const isPart = await lookUpHeads(
    tx,
    headsAmong(rows).filter((id) => !known.has(id)),
  )
  const requests: PendingRequest[] = []
  const late: PendingRequest[] = []
  let latest = since
  for (const row of rows) {
    const request = shared(readPending(row, registry), share)
    if (request.at > latest) latest = request.at
    if (known.get(row.id) ?? isPart.get(row.id)) continue
    if (row.isLate) late.push(request)
    else requests.push(request)
  }
  const isMore = rows.length >= atOnce
  const beforePush = rows.length - requests.length - late.length
  return { requests, late, beforePush, taken: rows.length, until: isMore ? latest : until, isMore }
}

/** Until the transaction ends, no other process assigns numbers to requests. */
export const lockNumbers = async (tx: Sql): Promise<void> => {
  await sql`select pg_advisory_xact_lock(${NUMBERING})`.execute(tx)
}

const timeOf = (at: Micros): string => (Number.isFinite(at) ? isoTime(at) : '-infinity')

const shared = (request: PendingRequest, share: Share): PendingRequest => {
  request.repository = share(request.repository)
  request.who = share(request.who)
  if (request.digest !== undefined) request.digest = share(request.digest)
  if (request.tag !== undefined) request.tag = share(request.tag)
  return request
}

/** Deletes the folded requests that are older than so many days. */
export const expireRequests = async ({ jobs }: Pick<Database, 'jobs'>, days: number, now: Date): Promise<void> => {
  const oldest = new Date(now.getTime() - days * 86_400_000)
  await inSteps(
    jobs,
    sql`delete from pulls.requests where number = any(array(
      select number from pulls.requests where at < ${oldest} limit ${ROWS_AT_ONCE}
    ))`,
  )
}

import { sql } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { Database, Sql } from '../../storage/sql/database.js'
import { inSteps, ROWS_AT_ONCE } from '../../storage/sql/batched.js'
import { headsAmong, lookUpHeads, type LookedUp } from './look-up-heads.js'
import type { Share } from './share.js'
import { readPending, type PendingRequest, type PendingRow } from '../requests/pending.js'

/** Of the lock under which requests get their numbers. */
const NUMBERING = 7_231_505

/** Requests of a registry after a moment, up to another, or as many of them as are to be taken at once. */
type PendingRange = { registry: string; since: Micros; until: Micros; atOnce: number }

export type TakenRequests = {
  requests: PendingRequest[]
  /** Those that came too late to be folded; they are not among the requests. */
  late: PendingRequest[]
  /** How many HEADs were part of a push, and so no use; they are in neither list. */
  beforePush: number
  /** How many were taken in all. */
  taken: number
  /** Up to when all were taken; what happened at one moment stays together. */
  until: Micros
  isMore: boolean
}

/**
 * Takes requests of a registry that wait, and keeps them for those who process them themselves (`GET /requests`), without the
 * name of before that an origin had, which nobody is to know once its salt is gone. Numbers are given
 * in the order in which transactions end, so that who has read up to a number has missed none before it.
 * @param stretch what was taken before it in the same transaction is not looked at again: its index entries stay until it ends.
 * @param foldedTo up to when requests were folded before.
 * @param known HEADs that were looked up before
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
    ), kept as (
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

/** Requests get their numbers from one process at a time. */
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

/** Forgets requests that are older than so many days. */
export const expireRequests = async ({ jobs }: Pick<Database, 'jobs'>, days: number, now: Date): Promise<void> => {
  const oldest = new Date(now.getTime() - days * 86_400_000)
  await inSteps(
    jobs,
    sql`delete from pulls.requests where number = any(array(
      select number from pulls.requests where at < ${oldest} limit ${ROWS_AT_ONCE}
    ))`,
  )
}

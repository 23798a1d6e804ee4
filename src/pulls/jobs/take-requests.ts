import { sql, type RawBuilder } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { Database, Sql } from '../../storage/database.js'
import { inSteps, ROWS_AT_ONCE } from '../../storage/in-steps.js'
import type { Share } from './share.js'
import { readPending, type PendingRequest, type PendingRow } from '../record/pending.js'

/** Of the lock under which requests get their numbers. */
const NUMBERING = 7_231_505

/** Requests of a registry after a moment, up to another. */
export type Stretch = { registry: string; since: Micros; until: Micros }

/** What was taken before it in the same transaction is not looked at again: its index entries stay until it ends. */
export const isWithin = ({ since, until }: Pick<Stretch, 'since' | 'until'>): RawBuilder<unknown> =>
  sql`at > ${timeOf(since)}::timestamptz and at <= ${timeOf(until)}::timestamptz`

const timeOf = (at: Micros): string => (Number.isFinite(at) ? isoTime(at) : '-infinity')

/**
 * Takes the requests of a stretch that wait, and keeps them for those who process them themselves
 * (`GET /requests`). Numbers are given in the order in which transactions end, so that who has read up to a number has missed none
 * before it.
 * @returns those that are to be folded, and how many came too late for it.
 */
export const takeRequests = async (
  tx: Sql,
  { registry, since, until, foldedTo, share }: Stretch & { foldedTo: Micros; share: Share },
): Promise<{ requests: PendingRequest[]; late: number }> => {
  await sql`select pg_advisory_xact_lock(${NUMBERING})`.execute(tx)
  const border = timeOf(foldedTo)
  const { rows } = await sql<PendingRow & { isLate: boolean }>`
    with taken as (
      delete from pulls.pending where registry = ${registry} and ${isWithin({ since, until })}
      returning id, registry, at, repository, origin, request, who, at <= ${border}::timestamptz as is_late
    ), kept as (
      insert into pulls.requests (id, registry, at, repository, origin, request, who, is_late) select * from taken
    )
    select id, registry, repository, origin, request, who, is_late as "isLate" from taken
  `.execute(tx)
  const requests = rows.flatMap(({ isLate, ...row }) => (isLate ? [] : [shared(readPending(row), share)]))
  return { requests, late: rows.length - requests.length }
}

const shared = (request: PendingRequest, share: Share): PendingRequest => {
  request.repository = share(request.repository)
  request.who = share(request.who)
  if (request.digest !== undefined) request.digest = share(request.digest)
  if (request.tag !== undefined) request.tag = share(request.tag)
  return request
}

/** Forgets requests that are older than so many days. */
export const forgetRequests = async ({ jobs }: Pick<Database, 'jobs'>, days: number, now: Date): Promise<void> => {
  const oldest = new Date(now.getTime() - days * 86_400_000)
  await inSteps(
    jobs,
    sql`delete from pulls.requests where number = any(array(
      select number from pulls.requests where at < ${oldest} limit ${ROWS_AT_ONCE}
    ))`,
  )
}

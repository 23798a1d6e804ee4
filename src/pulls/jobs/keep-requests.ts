import { sql } from 'kysely'
import { isoTime } from '../../events/calendar.js'
import type { Database, Sql } from '../../storage/database.js'
import { inSteps, ROWS_AT_ONCE } from '../../storage/in-steps.js'
import type { PendingRequest } from '../record/pending.js'

/** Of the lock under which requests get their numbers. */
const NUMBERING = 7_231_505

/**
 * Keeps requests that were folded, for those who process them themselves (`GET /requests`). Numbers are given in the order in which
 * transactions end, so that who has read up to a number has missed none before it.
 */
export const keepRequests = async (
  tx: Sql,
  requests: readonly PendingRequest[],
  isLate: (request: PendingRequest) => boolean,
): Promise<void> => {
  await sql`select pg_advisory_xact_lock(${NUMBERING})`.execute(tx)
  await sql`
    insert into pulls.requests (id, at, registry, repository, origin, is_late, request)
    select * from unnest(
      ${requests.map(({ id }) => id)}::uuid[],
      ${requests.map(({ at }) => isoTime(at))}::timestamptz[],
      ${requests.map(({ registry }) => registry)}::text[],
      ${requests.map(({ repository }) => repository)}::text[],
      ${requests.map(({ who }) => who.origin)}::text[],
      ${requests.map(isLate)}::boolean[],
      ${requests.map((request) => JSON.stringify(toldOf(request)))}::text[]
    )
  `.execute(tx)
}

/** A request as others may read it: who asked is an origin, as everywhere. */
const toldOf = ({ at, method, object, status, tag, digest, mediaType, bytes, who }: PendingRequest): object => {
  const { endpoint, source, client, version, kind, os, arch, country, network, networkKind, signedIn } = who
  return {
    at: isoTime(at),
    ...{ method, object, status, tag, digest, media_type: mediaType, bytes },
    ...{ endpoint, source, client, client_version: version, kind, os, arch },
    ...{ country, network, network_kind: networkKind, signed_in: signedIn },
  }
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

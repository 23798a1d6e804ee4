import { sql } from 'kysely'
import { isoTime } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { readPending, type PendingRequest, type PendingRow, type Who } from '../requests/pending.js'

/** A folded request. `cursor` is its number, after which the next query continues. */
export type StoredRequest = {
  cursor: number
  registry: string
  repository: string
  origin: string
  is_late: boolean
} & Record<string, unknown>

/** Reads the requests after a number, in the order in which they were folded. */
export const requestsAfter = async (db: Sql, after: number, limit: number): Promise<StoredRequest[]> => {
  const { rows } = await sql<PendingRow & { registry: string; number: string; isLate: boolean }>`
    select number, id, registry, repository, origin, is_late as "isLate", request, who from pulls.requests
    where number > ${after} order by number limit ${limit}
  `.execute(db)
  return rows.map(({ number, isLate, registry, ...row }) => {
    const { id, repository, origin } = row
    return {
      cursor: Number(number),
      id,
      registry,
      repository,
      origin,
      is_late: isLate,
      ...detailsOf(readPending(row, registry)),
    }
  })
}

/** What an answer has of a request. */
export type RequestDetails = Pick<
  PendingRequest,
  'at' | 'method' | 'object' | 'status' | 'tag' | 'digest' | 'mediaType' | 'bytes' | 'who'
>

/** The requester is given as an origin, as in all answers. */
export const detailsOf = ({
  at,
  method,
  object,
  status,
  tag,
  digest,
  mediaType,
  bytes,
  who,
}: RequestDetails): object => {
  const { endpoint, source, client, version, kind, os, arch, country, network, networkKind, signedIn } = JSON.parse(
    who,
  ) as Who
  return {
    at: isoTime(at),
    ...{ method, object, status, tag, digest, media_type: mediaType, bytes },
    ...{ endpoint, source, client, client_version: version, kind, os, arch },
    ...{ country, network, network_kind: networkKind, signed_in: signedIn },
  }
}

import { isoTime } from '../../events/calendar.js'
import type { RepositoryPath } from '../../events/reference.js'
import type { RequestSource } from '../../events/registry-request.js'
import type { FilledPart, StatementPart } from '../../storage/sql/statement-parts.js'
import type { FoldRequest } from '../fold/state.js'

/** The requester of a request, without a name or an address. It is the same for all requests of one origin. */
export type Who = {
  endpoint: string
  source: RequestSource
  client: string
  version?: string
  kind: string
  os?: string
  arch?: string
  country?: string
  network?: string
  networkKind?: string
  signedIn: boolean
}

/** A request as it is stored until it is folded. */
export type PendingRequest = FoldRequest & {
  /** A `Who` as text. Many requests have the same text, so it is written and parsed once. */
  who: string
  /** Only for a time after a change of the salt: the origin with the previous salt. */
  previous?: string
}

/** The part of a batch's statement that stores the requests of new events. */
export const PENDING: StatementPart = {
  name: 'pending',
  provides: ['kept_requests'],
  requires: ['fresh'],
  text: (p) => `
    kept_requests as (
      insert into pulls.pending (id, registry, at, repository, origin, request, who)
      select id, registry, at, repository, origin, request, who
      from unnest(${p(1)}::uuid[], ${p(2)}::text[], ${p(3)}::timestamptz[], ${p(4)}::text[], ${p(5)}::text[], ${p(6)}::text[], ${p(7)}::text[])
        as asked (id, registry, at, repository, origin, request, who)
      join fresh using (id)
    )`,
}

/** The part with the rows of requests. */
export const fillPending = (requests: readonly PendingRequest[]): FilledPart => ({
  part: PENDING,
  values: [
    requests.map(({ id }) => id),
    requests.map(({ registry }) => registry),
    requests.map(({ at }) => isoTime(at)),
    requests.map(({ repository }) => repository),
    requests.map(({ origin }) => origin),
    requests.map(detailsOf),
    requests.map(({ who }) => who),
  ],
})

/** The fields that have no column of their own, as JSON: those that `readPending` reads, whatever else a request contains. */
const detailsOf = (request: PendingRequest): string => {
  const { requestId, at, object, method, status, tag, digest, mediaType, bytes, fetchesTwice, previous } = request
  return JSON.stringify({
    requestId,
    at,
    object,
    method,
    status,
    tag,
    digest,
    mediaType,
    bytes,
    fetchesTwice,
    previous,
  })
}

/** A row of pulls.pending or pulls.requests, without its registry. */
export type PendingRow = {
  id: string
  repository: string
  origin: string
  request: string
  who: string
}

/** Reads a row that `fillPending` stored. All results have the same fields in the same order, which makes access to them faster. */
export const readPending = ({ id, repository, origin, who, request }: PendingRow, registry: string): PendingRequest => {
  const { requestId, at, object, method, status, tag, digest, mediaType, bytes, fetchesTwice, previous } = JSON.parse(
    request,
  ) as PendingRequest
  return {
    id,
    registry,
    repository: repository as RepositoryPath,
    origin,
    who,
    at,
    object,
    method,
    status,
    tag,
    digest,
    mediaType,
    bytes,
    requestId,
    fetchesTwice,
    previous,
  } as PendingRequest
}

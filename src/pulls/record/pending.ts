import { isoTime } from '../../events/calendar.js'
import type { RegistryRequest } from '../../events/registry-request.js'
import type { StatementPart } from '../../storage/statement-parts.js'

/** Who made a request, without a name or an address: the same for all requests of one origin. */
export type Who = {
  origin: string
  endpoint: string
  /** Where the request was heard of. */
  source: 'notification'
  client: string
  version?: string
  kind: string
  os?: string
  arch?: string
  country?: string
  network?: string
  networkKind?: string
  signedIn: boolean
  /** Whether its client fetches each manifest twice. */
  fetchesTwice: boolean
}

/** A request as it waits to be folded. */
export type PendingRequest = RegistryRequest & { who: Who; previous?: string }

/** The part of a batch's statement that keeps requests of events that are new. Its first part is `talliesPart`. */
export const pendingPart = (requests: readonly PendingRequest[]): StatementPart => ({
  key: 'q',
  text: (p) => `
    kept_requests as (
      insert into pulls.pending (id, registry, at, request)
      select id, registry, at, request
      from unnest(${p(1)}::uuid[], ${p(2)}::text[], ${p(3)}::timestamptz[], ${p(4)}::text[]) as asked (id, registry, at, request)
      join fresh using (id)
    )`,
  values: [
    requests.map(({ id }) => id),
    requests.map(({ registry }) => registry),
    requests.map(({ at }) => isoTime(at)),
    requests.map((request) => JSON.stringify({ ...request, id: undefined, registry: undefined })),
  ],
})

/** Reads what `pendingPart` has kept. */
export const readPending = (row: { id: string; registry: string; request: string }): PendingRequest => ({
  ...(JSON.parse(row.request) as Omit<PendingRequest, 'id' | 'registry'>),
  id: row.id,
  registry: row.registry,
})

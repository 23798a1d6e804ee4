import { sql } from 'kysely'
import { readPending, type PendingRow } from '../pulls/requests/pending.js'
import type { Sql } from '../storage/sql/database.js'
import { createRequesterValues } from './requester-columns.js'
import type { DaySource } from './slices.js'
import { createShare, sqlSource } from './sql-source.js'

type Stored = PendingRow & { registry: string; is_late: boolean }

/** Requests that arrived in notifications: those that are not folded yet, and those that are kept after the fold. */
const TABLE = sql`(
  select id, at, registry, repository, origin, request, who, is_late from pulls.requests
  union all
  select id, at, registry, repository, origin, request, who, false from pulls.pending
)`

/** The requests of a day that arrived in notifications, as rows of `requests`. */
export const liveRequests = (tx: Sql, day: string, registries: readonly string[] | undefined): DaySource => {
  const requesterOf = createRequesterValues()
  const share = createShare()
  const shared = (text: string | undefined): string | null => (text === undefined ? null : share(text))
  return sqlSource<Stored>(tx, day, {
    table: TABLE,
    select: sql<Stored>`o.id::text as id, o.registry, o.repository, o.origin, o.request, o.who, o.is_late`,
    registries,
    toRow: (stored) => {
      const { registry, repository, origin, who, id, is_late } = stored
      const { at, method, object, status, tag, digest, mediaType, bytes } = readPending(stored, registry)
      return [
        ...[at, share(registry), share(repository), share(origin), id, method, object],
        ...[shared(tag), shared(digest), status, shared(mediaType), bytes ?? null, is_late],
        ...requesterOf(who),
      ]
    },
  })
}

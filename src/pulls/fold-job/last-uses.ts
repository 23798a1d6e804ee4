import { sql } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import type { PendingRequest, Who } from '../requests/pending.js'

type Use = { repository: string; reference: string; kind: string; used: Micros; pulled?: Micros }

/** When tags and digests of a registry were used last, by each kind of client: written once in a transaction. */
export type LastUses = {
  /** Adds requests, also those that came too late to be folded: a use is a use. */
  add: (requests: readonly PendingRequest[]) => void
  /** Merges the times with those that are stored: of each the newest stays, so no order of requests matters. */
  save: (tx: Sql) => Promise<void>
}

/** Of a use that is in pulls.last_uses, as `u`, the newest times stay. */
export const keepNewest = sql`
  on conflict (registry, repository, reference, kind) do update
    set used_at = greatest(u.used_at, excluded.used_at), pulled_at = greatest(u.pulled_at, excluded.pulled_at)
`

export const createLastUses = (registry: string): LastUses => {
  const uses = new Map<string, Use>()
  const kinds = new Map<string, string>()
  const kindOf = (who: string): string => {
    const known = kinds.get(who)
    if (known !== undefined) return known
    const { kind } = JSON.parse(who) as Who
    kinds.set(who, kind)
    return kind
  }
  const add = (request: PendingRequest, reference: string | undefined): void => {
    if (reference === undefined) return
    const { repository, at, method } = request
    const kind = kindOf(request.who)
    const key = `${repository} ${reference} ${kind}`
    const use = uses.get(key) ?? { repository, reference, kind, used: at }
    use.used = Math.max(use.used, at)
    if (method === 'GET') use.pulled = Math.max(use.pulled ?? at, at)
    uses.set(key, use)
  }
  return {
    add: (requests) => {
      for (const request of requests) {
        if (request.object !== 'manifest') continue
        add(request, request.tag)
        add(request, request.digest)
      }
    },
    save: async (tx) => {
      if (uses.size === 0) return
      const sorted = [...uses.keys()].sort().flatMap((key) => uses.get(key) ?? [])
      await sql`
        insert into pulls.last_uses as u (registry, repository, reference, kind, used_at, pulled_at)
        select ${registry}, * from unnest(
          ${sorted.map(({ repository }) => repository)}::text[], ${sorted.map(({ reference }) => reference)}::text[],
          ${sorted.map(({ kind }) => kind)}::text[], ${sorted.map(({ used }) => isoTime(used))}::timestamptz[],
          ${sorted.map(({ pulled }) => (pulled === undefined ? null : isoTime(pulled)))}::timestamptz[]
        )
        ${keepNewest}
      `.execute(tx)
    },
  }
}

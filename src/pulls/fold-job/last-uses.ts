import { sql } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import type { PendingRequest, Who } from '../requests/pending.js'

type Use = { repository: string; reference: string; kind: string; used: Micros; pulled?: Micros }

/** The last uses of tags and digests of a registry, by kind of client. They are written once in each transaction. */
export type LastUses = {
  /** Adds requests, including requests that arrived too late to be folded: they are uses, too. */
  add: (requests: readonly PendingRequest[]) => void
  /** Merges the times into the stored ones. The newest time wins, so the order of requests does not matter. */
  save: (tx: Sql) => Promise<void>
}

/** If a use exists in pulls.last_uses `u` already, the newer times win. */
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

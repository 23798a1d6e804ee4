import { sql } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import { checksBeforePush } from '../../inventory/record/check-before-push.js'
import type { Sql } from '../../storage/sql/database.js'
import { createPause } from '../../runtime/yield.js'
import type { PendingRequest } from '../requests/pending.js'

/**
 * HEADs that one statement looks up. A look-up may read more than a thousand rows of pushes and indexes, which takes 40 ms on the
 * embedded database. After a slow statement, the next one has fewer HEADs.
 */
const AT_ONCE = { usual: 25, afterSlow: 5 }
const SLOW_MS = 100

/** Whether a HEAD is part of a push, by the id of its event. It contains only the HEADs that were looked up. */
export type LookedUp = ReadonlyMap<string, boolean>

/**
 * Looks up which pending HEADs are part of a push: the client pushed the same tag soon after the HEAD. A push is found in any order
 * of arrival, if it arrives before the HEAD is folded. That is certain if the push follows within the lateness.
 * @param heads ids of their events
 * @param isOver ends the look-ups between two statements
 */
export const lookUpHeads = async (
  db: Sql,
  heads: readonly string[],
  isOver: () => boolean = () => false,
): Promise<LookedUp> => {
  const found = new Map<string, boolean>()
  const pause = createPause()
  let atOnce = AT_ONCE.usual
  for (let from = 0; from < heads.length && !isOver();) {
    const begin = performance.now()
    const ids = heads.slice(from, from + atOnce)
    const { rows } = await checksBeforePush(ids).execute(db)
    const parts = new Set(rows.map(({ id }) => id))
    for (const id of ids) found.set(id, parts.has(id))
    from += ids.length
    atOnce = performance.now() - begin > SLOW_MS ? AT_ONCE.afterSlow : AT_ONCE.usual
    await pause()
  }
  return found
}

/**
 * Removes the HEADs that are found to be part of a push. A HEAD whose push arrives later, or that is not looked up, stays.
 * @param isOver see lookUpHeads
 */
export const withoutPushChecks = async <T extends Pick<PendingRequest, 'id' | 'method'>>(
  db: Sql,
  requests: readonly T[],
  isOver: () => boolean,
): Promise<T[]> => {
  const heads = requests.filter(({ method }) => method === 'HEAD').map(({ id }) => id)
  const isPart = await lookUpHeads(db, heads, isOver)
  return requests.filter(({ id }) => isPart.get(id) !== true)
}

/** @param requests with their texts as in pulls.pending */
export const headsAmong = (requests: readonly { id: string; request: string }[]): string[] =>
  requests.filter(({ request }) => request.includes('"method":"HEAD"')).map(({ id }) => id)

/** Pending requests that are looked up ahead of the transaction that takes them. */
const AHEAD = 1_000

/**
 * Looks up the first pending HEADs of a registry. It runs before the transaction, because the embedded database does other work
 * between two statements, but not within a transaction.
 */
export const lookUpAhead = async (db: Sql, registry: string, until: Micros): Promise<LookedUp> => {
  const { rows } = await sql<{ id: string; request: string }>`
    select id, request from pulls.pending where registry = ${registry} and at <= ${isoTime(until)}::timestamptz
    order by at limit ${AHEAD}
  `.execute(db)
  return lookUpHeads(db, headsAmong(rows))
}

import { sql } from 'kysely'
import type { UnreadableEvent } from '../events/reported-item.js'
import type { Sql } from '../storage/sql/database.js'

/** Stores unreadable events with their reasons, so that an operator can inspect them. */
export const keepRejected = async (tx: Sql, events: readonly UnreadableEvent[]): Promise<void> => {
  if (events.length === 0) return
  await sql`
    insert into rejected_events (id, reason, detail, excerpt)
    select * from unnest(
      ${events.map(({ id }) => id)}::uuid[],
      ${events.map(({ unreadable }) => unreadable)}::text[],
      ${events.map(({ detail }) => detail)}::text[],
      ${events.map(({ excerpt }) => excerpt)}::text[]
    ) on conflict do nothing
  `.execute(tx)
}

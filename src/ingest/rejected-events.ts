import { sql, type RawBuilder } from 'kysely'
import type { UnreadableEvent } from '../events/reported-item.js'
import { deleteSome, ROWS_AT_ONCE } from '../storage/sql/batched.js'
import type { Sql } from '../storage/sql/database.js'

/** The excerpt of an event of which nothing is stored but its id, reason and detail. */
export const NO_EXCERPT = '{}'

/** A text that every encoding of a database can store: a rejected event must never be refused itself. */
const inAscii = (text: string): string => text.replace(/[^\x20-\x7e]/gu, '?')

/** Stores unreadable events with their reasons, so that an operator can inspect them. */
export const keepRejected = async (tx: Sql, events: readonly UnreadableEvent[]): Promise<void> => {
  if (events.length === 0) return
  await sql`
    insert into rejected_events (id, reason, detail, excerpt)
    select * from unnest(
      ${events.map(({ id }) => id)}::uuid[],
      ${events.map(({ unreadable }) => unreadable)}::text[],
      ${events.map(({ detail }) => inAscii(detail))}::text[],
      ${events.map(({ excerpt }) => inAscii(excerpt))}::text[]
    ) on conflict do nothing
  `.execute(tx)
}

/**
 * Steps that delete rejected events.
 * @param days the days for which they are kept
 * @param most the number of newest ones that are kept, so that a broken sender cannot fill the disk
 */
export const deleteExpiredRejections = (days: number, most: number): RawBuilder<unknown>[] => [
  deleteSome('rejected_events', sql`received_at < now() - ${days} * interval '1 day'`),
  sql`
    delete from rejected_events where ctid = any(array(
      select ctid from rejected_events order by received_at desc offset ${most} limit ${ROWS_AT_ONCE}
    ))
  `,
]

import { sql, type RawBuilder } from 'kysely'
import { MOST_AHEAD_SECONDS } from '../runtime/clock-ahead.js'
import type { Database, Sql } from '../storage/sql/database.js'
import type { ServicePing } from './payload.js'

/** The longest time from one attempt to the next. */
export const LONGEST_WAIT_MS = 24 * 60 * 60_000

/** A stored ping, and the state of its delivery. */
export type KeptPing = ServicePing & {
  recordedAt: Date
  sentAt: Date | null
  attempts: number
  nextAttemptAt: Date | null
  lastError: string | null
}

type Row = {
  recorded_at: Date
  payload: ServicePing['payload']
  metadata: ServicePing['metadata']
  sent_at: Date | null
  attempts: number
  next_attempt_at: Date | null
  last_error: string | null
}

const columns = sql.raw('recorded_at, payload, metadata, sent_at, attempts, next_attempt_at, last_error')

const toKept = (row: Row): KeptPing => ({
  payload: row.payload,
  metadata: row.metadata,
  recordedAt: row.recorded_at,
  sentAt: row.sent_at,
  attempts: row.attempts,
  nextAttemptAt: row.next_attempt_at,
  lastError: row.last_error,
})

/** Stores a ping. @param due the time to send it; undefined for never @returns the stored ping */
export const keepPing = async (
  db: Sql,
  { payload, metadata }: ServicePing,
  due: Date | undefined,
): Promise<KeptPing> => {
  const next = due?.toISOString() ?? null
  const { rows } = await sql<Row>`
    insert into service_pings (recorded_at, payload, metadata, next_attempt_at)
    values (${payload.recorded_at}::timestamptz, ${JSON.stringify(payload)}::json, ${JSON.stringify(metadata)}::json,
            ${next}::timestamptz)
    on conflict (recorded_at) do update set payload = excluded.payload, metadata = excluded.metadata
    returning ${columns}
  `.execute(db)
  return onlyRow(rows)
}

/** The newest stored ping. */
export const newestPing = async (database: Database): Promise<KeptPing | undefined> => {
  const { rows } = await sql<Row>`
    select ${columns} from service_pings order by recorded_at desc limit 1
  `.execute(database.sql)
  return rows[0] && toKept(rows[0])
}

/** A ping whose next attempt is further ahead than any wait: the clock was ahead when the attempt was scheduled. */
const isAhead = (now: Date): RawBuilder<unknown> =>
  sql`next_attempt_at > ${new Date(now.getTime() + LONGEST_WAIT_MS + MOST_AHEAD_SECONDS * 1000).toISOString()}::timestamptz`

/**
 * Claims the oldest due ping: it is due again only after the claim, so that no other process sends it.
 * @returns undefined if no ping is due
 */
export const claimDuePing = async (
  database: Database,
  now: Date,
  claimedUntil: Date,
): Promise<KeptPing | undefined> => {
  const { rows } = await sql<Row>`
    update service_pings set next_attempt_at = ${claimedUntil.toISOString()}::timestamptz
    where recorded_at = (
      select recorded_at from service_pings
      where sent_at is null and (next_attempt_at <= ${now.toISOString()}::timestamptz or ${isAhead(now)})
      order by recorded_at limit 1 for update skip locked
    )
    returning ${columns}
  `.execute(database.sql)
  return rows[0] && toKept(rows[0])
}

/** @returns the stored ping */
export const markSent = async (database: Database, { recordedAt }: KeptPing, now: Date): Promise<KeptPing> => {
  const { rows } = await sql<Row>`
    update service_pings
    set sent_at = ${now.toISOString()}::timestamptz, attempts = attempts + 1, next_attempt_at = null, last_error = null
    where recorded_at = ${recordedAt.toISOString()}::timestamptz
    returning ${columns}
  `.execute(database.sql)
  return onlyRow(rows)
}

/** @param next the time of the next attempt; undefined to give up */
export const markFailed = async (
  database: Database,
  { recordedAt }: KeptPing,
  error: string,
  next: Date | undefined,
): Promise<void> => {
  await sql`
    update service_pings
    set attempts = attempts + 1, next_attempt_at = ${next?.toISOString() ?? null}::timestamptz, last_error = ${error}
    where recorded_at = ${recordedAt.toISOString()}::timestamptz
  `.execute(database.sql)
}

/** Postpones all unsent pings that are due earlier. */
export const postponePings = async (database: Database, until: Date): Promise<void> => {
  await sql`
    update service_pings set next_attempt_at = ${until.toISOString()}::timestamptz
    where sent_at is null and (next_attempt_at < ${until.toISOString()}::timestamptz or ${isAhead(until)})
  `.execute(database.sql)
}

const onlyRow = ([row]: Row[]): KeptPing => {
  if (!row) throw new Error('the ping is no longer stored')
  return toKept(row)
}

import { sql } from 'kysely'
import type { Database } from '../storage/database.js'
import type { ServicePing } from './payload.js'

/** A kept ping and what became of its delivery. */
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

/** Keeps a ping. @param due when it is to be sent; undefined for never. */
export const keepPing = async (
  database: Database,
  { payload, metadata }: ServicePing,
  due: Date | undefined,
): Promise<KeptPing> => {
  const next = due?.toISOString() ?? null
  await sql`
    insert into service_pings (recorded_at, payload, metadata, next_attempt_at)
    values (${payload.recorded_at}::timestamptz, ${JSON.stringify(payload)}::json, ${JSON.stringify(metadata)}::json,
            ${next}::timestamptz)
    on conflict (recorded_at) do update set payload = excluded.payload, metadata = excluded.metadata
  `.execute(database.sql)
  return {
    payload,
    metadata,
    recordedAt: new Date(payload.recorded_at),
    sentAt: null,
    attempts: 0,
    nextAttemptAt: due ?? null,
    lastError: null,
  }
}

/** The newest ping that was kept. */
export const newestPing = async (database: Database): Promise<KeptPing | undefined> => {
  const { rows } = await sql<Row>`
    select ${columns} from service_pings order by recorded_at desc limit 1
  `.execute(database.sql)
  return rows[0] && toKept(rows[0])
}

/** Pings that are to be sent by now, the oldest first. */
export const duePings = async (database: Database, now: Date, limit: number): Promise<KeptPing[]> => {
  const { rows } = await sql<Row>`
    select ${columns} from service_pings
    where sent_at is null and next_attempt_at <= ${now.toISOString()}::timestamptz
    order by recorded_at limit ${limit}
  `.execute(database.sql)
  return rows.map(toKept)
}

export const markSent = async (database: Database, { recordedAt }: KeptPing, now: Date): Promise<void> => {
  await sql`
    update service_pings
    set sent_at = ${now.toISOString()}::timestamptz, attempts = attempts + 1, next_attempt_at = null, last_error = null
    where recorded_at = ${recordedAt.toISOString()}::timestamptz
  `.execute(database.sql)
}

/** @param next when to try again; undefined to give up. */
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

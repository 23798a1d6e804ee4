import { sql } from 'kysely'
import { isoTime, microsOf, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { epochMicros } from '../../storage/sql/moments.js'

/** `until`: the moment up to which requests of a registry may be folded; `foldedTo`: the moment up to which they were folded. */
export type Watermark = { until: Micros; foldedTo: Micros; blobsAt?: Micros }

type WatermarkDeps = { lateness: Micros; now: () => Date }

/**
 * The watermark follows the requests and not the clock: if a registry could not deliver for an hour, it delivers that hour in order
 * later, and no request of it is late. If a registry reported no newer request for the lateness, all its requests are folded.
 * @returns undefined if no request can be folded, or another process is folding the registry
 */
export const watermarkOf = async (
  tx: Sql,
  registry: string,
  { lateness, now }: WatermarkDeps,
): Promise<Watermark | undefined> => {
  const clock = microsOf(now())
  await sql`insert into pulls.registries (registry) values (${registry}) on conflict do nothing`.execute(tx)
  const { rows } = await sql<StoredNewest & { foldedTo: string | null; blobsAt: string | null }>`
    select ${epochMicros(sql`nullif(folded_to, '-infinity')`)}::text as "foldedTo", ${epochMicros(sql`newest_at`)}::text as newest,
      ${epochMicros(sql`newest_since`)}::text as since, ${epochMicros(sql`blobs_at`)}::text as "blobsAt"
    from pulls.registries where registry = ${registry} for update skip locked
  `.execute(tx)
  const [row] = rows
  if (!row) return undefined
  const pending = await newestPending(tx, registry, clock)
  if (pending === undefined) return undefined
  const newest = newestOf(row, pending, clock)
  await sql`
    update pulls.registries set newest_at = ${isoTime(newest.newest)}::timestamptz, newest_since = ${isoTime(newest.since)}::timestamptz
    where registry = ${registry}
  `.execute(tx)
  const blobsAt = numberOf(row.blobsAt)
  return {
    until: untilOf(newest, clock, lateness),
    foldedTo: numberOf(row.foldedTo) ?? -Infinity,
    ...(blobsAt !== undefined && { blobsAt }),
  }
}

/** The `until` that `watermarkOf` will return if no request arrives meanwhile. It takes no lock, and serves to read ahead. */
export const foldableUntil = async (
  db: Sql,
  registry: string,
  { lateness, now }: WatermarkDeps,
): Promise<Micros | undefined> => {
  const clock = microsOf(now())
  const { rows } = await sql<StoredNewest>`
    select ${epochMicros(sql`newest_at`)}::text as newest, ${epochMicros(sql`newest_since`)}::text as since from pulls.registries where registry = ${registry}
  `.execute(db)
  const pending = await newestPending(db, registry, clock)
  if (pending === undefined) return undefined
  return untilOf(newestOf(rows[0] ?? { newest: null, since: null }, pending, clock), clock, lateness)
}

/** The time of the newest request that was reported, and when it was first seen. */
type StoredNewest = { newest: string | null; since: string | null }
type NewestRequest = { newest: Micros; since: Micros }

const newestPending = async (db: Sql, registry: string, clock: Micros): Promise<Micros | undefined> => {
  const { rows } = await sql<{ newest: string | null }>`
    select ${epochMicros(sql`max(at)`)}::text as newest from pulls.pending
    where registry = ${registry} and at <= ${isoTime(clock)}::timestamptz
  `.execute(db)
  return numberOf(rows[0]?.newest ?? null)
}

const newestOf = (stored: StoredNewest, pending: Micros, clock: Micros): NewestRequest => {
  const before = numberOf(stored.newest)
  return before === undefined || pending > before
    ? { newest: pending, since: clock }
    : { newest: before, since: numberOf(stored.since) ?? clock }
}

const untilOf = ({ newest, since }: NewestRequest, clock: Micros, lateness: Micros): Micros =>
  clock - since >= lateness ? newest : newest - lateness

const numberOf = (text: string | null): number | undefined => (text === null ? undefined : Number(text))

/** Stores up to when a registry was folded, and when it last reported a request for a blob. */
export const setFoldedTo = async (
  tx: Sql,
  registry: string,
  { foldedTo, blobsAt }: { foldedTo: Micros; blobsAt: Micros | undefined },
): Promise<void> => {
  await sql`
    update pulls.registries set folded_to = ${isoTime(foldedTo)}::timestamptz,
      blobs_at = ${blobsAt === undefined ? null : isoTime(blobsAt)}::timestamptz
    where registry = ${registry}
  `.execute(tx)
}

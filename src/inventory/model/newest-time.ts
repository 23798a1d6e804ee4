import { sql } from 'kysely'
import type { Micros } from '../../events/calendar.js'
import type { Database, Sql } from '../../storage/sql/database.js'
import { epochMicros } from '../../storage/sql/moments.js'

/** The newest recorded time, which is read at most once a minute. -Infinity if there is none. */
export type NewestTime = {
  /** The time that was read last. Undefined if no time was read since the last lost connection. */
  known: () => Micros | undefined
  read: () => Promise<Micros>
}

const REMEMBERED_MS = 60_000

/**
 * Reads in a transaction, because notifications must not wait for the connections of reports.
 * @param elapsed milliseconds of a monotonic clock
 */
export const createNewestTime = (
  { transaction, losses }: Pick<Database, 'transaction' | 'losses'>,
  read: (db: Sql) => Promise<Micros> = readNewestTime,
  elapsed = (): number => performance.now(),
): NewestTime => {
  let last: { at: Micros; readAt: number } | undefined
  let reading: Promise<Micros> | undefined
  losses.onLoss(() => {
    last = undefined
    reading = undefined
  })
  const readAgain = async (): Promise<Micros> => {
    const lossesBefore = losses.count()
    const readAt = elapsed()
    const at = await transaction(read)
    if (losses.count() === lossesBefore) last = { at, readAt }
    return at
  }
  return {
    known: () => last?.at,
    read: async () => {
      if (last && elapsed() - last.readAt < REMEMBERED_MS) return last.at
      if (reading) return reading
      const current = readAgain().finally(() => {
        if (reading === current) reading = undefined
      })
      reading = current
      return current
    },
  }
}

/**
 * The newest time for state of any event. If the clocks of services are right, it is at most half a second ahead
 * (docs/decisions/0016). Reads all repositories. @returns -Infinity before the first event
 */
export const readNewestTime = async (db: Sql): Promise<Micros> => {
  const { rows } = await sql<{ at: string | null }>`
    select ${epochMicros(sql`max(last_seen_at)`)}::text as at from inventory.repositories
  `.execute(db)
  return Number(rows[0]?.at ?? -Infinity)
}

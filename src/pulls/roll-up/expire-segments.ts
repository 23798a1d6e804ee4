import { sql } from 'kysely'
import { MICROS_PER_SECOND, MS_PER_DAY } from '../../events/calendar.js'
import type { Database, Sql } from '../../storage/sql/database.js'
import { jobStep } from '../../storage/sql/retried-transaction.js'
import { eachRegistry } from '../fold-job/each-registry.js'
import type { JoinWindows } from '../model/join-windows.js'
import { settledAfter } from './roll-up.js'

type ExpireDeps = { jobs: Database['jobs']; windows: JoinWindows }

/**
 * Deletes the segments of days that no import has changed for so many days. From then on, such a day cannot change: it is rolled up,
 * and further requests of it are too late. A day expires only with all days before it, because the state at their end has an effect
 * on it.
 */
export const expireSegments = async ({ jobs, windows }: ExpireDeps, days: number, now: Date): Promise<void> => {
  const changedBefore = new Date(now.getTime() - days * MS_PER_DAY)
  const { rows } = await sql<{ registry: string }>`
    select distinct registry from pulls.segment_days where not expired and changed_at < ${changedBefore}
  `.execute(jobs)
  await eachRegistry(rows, async ({ registry }) => {
    await jobStep({ sql: jobs }, async (tx) => expireDays(tx, { registry, changedBefore, windows }))
  })
}

type Expired = { registry: string; changedBefore: Date; windows: JoinWindows }

const expireDays = async (tx: Sql, { registry, changedBefore, windows }: Expired): Promise<void> => {
  await sql`select from pulls.registries where registry = ${registry} for update`.execute(tx)
  const { rows } = await sql<{ last: string | null }>`
    select max(day)::text as last from pulls.segment_days where registry = ${registry} and not expired and day < coalesce(
      (
        select min(day) from pulls.segment_days
        where registry = ${registry} and (changed_at >= ${changedBefore} or changes > folded_changes)
      ),
      'infinity'
    )
  `.execute(tx)
  const last = rows[0]?.last
  if (last === null || last === undefined) return
  await sql`delete from pulls.segments where registry = ${registry} and day <= ${last}::date`.execute(tx)
  await sql`delete from pulls.segment_days where registry = ${registry} and day < ${last}::date`.execute(tx)
  await sql`
    update pulls.segment_days set expired = true where registry = ${registry} and day = ${last}::date
  `.execute(tx)
  await sql`
    update pulls.registries set folded_to = greatest(
      folded_to, (${last}::date + 1)::timestamp at time zone 'UTC' + ${settledAfter(windows) / MICROS_PER_SECOND} * interval '1 second'
    )
    where registry = ${registry}
  `.execute(tx)
}

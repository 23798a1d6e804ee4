import { sql } from 'kysely'
import type { KeptSchedule } from '../../runtime/jobs.js'
import type { Sql } from './database.js'

/**
 * The stored time at which a job is due. It stays in the past until the job is done, whatever stops or fails. A new schedule
 * begins with its next time. A changed schedule replaces a future time and keeps a past one. A future time is also replaced if it
 * is later than the schedule allows: the clock was ahead when it was stored.
 */
export const dueTime = async (
  db: Sql,
  { job, cron, timeZone, next, following }: KeptSchedule,
  now: Date,
): Promise<Date | undefined> => {
  const at = next()
  if (!at) return undefined
  const { rows } = await sql<{ due_at: Date }>`
    with changed as (
      insert into schedules as s (job, cron, time_zone, due_at)
      values (${job}, ${cron}, ${timeZone}, ${at.toISOString()}::timestamptz)
      on conflict (job) do update set cron = excluded.cron, time_zone = excluded.time_zone, due_at = excluded.due_at
      where (s.cron, s.time_zone) is distinct from (excluded.cron, excluded.time_zone)
          and s.due_at > ${now.toISOString()}::timestamptz
        -- The next time of a process whose clock is behind may be one that is done.
        or s.due_at > ${following()?.toISOString() ?? 'infinity'}::timestamptz
      returning due_at
    )
    select due_at from changed
    union all
    select due_at from schedules where job = ${job} and not exists (select from changed)
  `.execute(db)
  return rows[0]?.due_at
}

/**
 * Records that a job was done for a time, and stores its next time.
 * @returns false if another process recorded it before
 */
export const completeDue = async (
  db: Sql,
  { job, cron, timeZone, next }: KeptSchedule,
  due: Date,
): Promise<boolean> => {
  const { rows } = await sql`
    update schedules
    set cron = ${cron}, time_zone = ${timeZone}, due_at = ${next()?.toISOString() ?? 'infinity'}::timestamptz
    where job = ${job} and due_at = ${due.toISOString()}::timestamptz
    returning job
  `.execute(db)
  return rows.length > 0
}

/**
 * Deletes the schedules of jobs that are no longer configured. Otherwise a job that is configured again after months would run at
 * once, to make up for its old time. A job that another process runs at the moment keeps its schedule.
 * @param configured the names of all jobs that this process runs
 */
export const deleteOtherSchedules = async (db: Sql, configured: readonly string[]): Promise<void> => {
  await sql`
    delete from schedules
    where job <> all(${configured}::text[])
      and not exists (select from leases where name = job and until > now())
  `.execute(db)
}

/** The time at which a job is due; undefined if no time is stored. */
export const readDueTime = async (db: Sql, job: string): Promise<Date | undefined> => {
  const { rows } = await sql<{ due_at: Date }>`
    select due_at from schedules where job = ${job} and due_at < 'infinity'
  `.execute(db)
  return rows[0]?.due_at
}

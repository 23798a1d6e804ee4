import { createTask, validate, type ScheduledTask } from 'node-cron'

/** Recurring times. */
export type Schedule = {
  /** Five or six fields of cron. */
  cron: string
  /** An IANA time zone; default UTC. */
  timeZone?: string
}

/** The schedule of a job that must not miss a time: one of all processes runs it, late if necessary (storage/kept-job.ts). */
export type KeptSchedule = {
  job: string
  /** A cron expression. */
  cron: string
  /** An IANA time zone. */
  timeZone: string
  /** The first time of the schedule after now; undefined if there is none. */
  next: () => Date | undefined
  /** The time after `next`. */
  following: () => Date | undefined
}

/** Work that runs at the times of a schedule. */
export type Job = Schedule & {
  name: string
  run: () => Promise<unknown>
  /** Whether the job deletes old data by the clock, so that it must wait until the clock can be trusted. */
  deletesOld?: boolean
}

export type Jobs = {
  /** Ends the schedules and waits for running jobs. */
  stop: () => Promise<void>
}

export const isCronExpression = (text: string): boolean => validate(text)

/** The next time of a schedule by the clock of the machine, which also starts jobs. */
export const nextTime = (schedule: Schedule): Date | undefined => nextTimes(schedule, 1)[0]

const nextTimes = (schedule: Schedule, count: number): readonly (Date | undefined)[] => {
  const task = timetableOf(schedule)
  const times = task.getNextRuns(count)
  void task.destroy()
  return times
}

/** A timetable that is never started: after a change of the clock, node-cron would wait, or make up for each skipped run. */
const timetableOf = ({ cron, timeZone = 'UTC' }: Schedule): ScheduledTask =>
  createTask(cron, () => undefined, { timezone: timeZone })

/** A schedule whose times must not be missed. */
export const keptSchedule = (job: string, { cron, timeZone = 'UTC' }: Schedule): KeptSchedule => ({
  job,
  cron,
  timeZone,
  next: () => nextTime({ cron, timeZone }),
  following: () => nextTimes({ cron, timeZone }, 2)[1],
})

type Watcher = {
  onBegin?: (job: string) => void
  onEnd?: (job: string) => void
  onError: (job: string, error: unknown) => void
  isResting?: (job: string) => boolean
  /** Milliseconds from the start on in which the clock is not trusted. */
  unsteadyMs?: number
}

/** Milliseconds between two checks of the clock. */
const CHECK_MS = 250
/**
 * If the clock is set ahead by more than LARGEST_STEP_MS, it may be set back soon. So no job deletes old data until the clock had no
 * such step for STEADY_MS.
 */
const LARGEST_STEP_MS = 60_000
const STEADY_MS = 600_000

/**
 * Runs jobs at their times. If the previous run of a job has not ended, or if the job rests, the run is skipped. Times that a
 * change of the clock skipped are skipped, too: every run does all pending work, and storage/kept-job.ts stores times that must
 * not be missed. If the clock is set back, the schedule continues by the new time. If the clock is set ahead by more than a
 * minute, by an error or because the machine was suspended, jobs that delete old data wait for ten minutes. They also wait for
 * `unsteadyMs` after the start.
 */
export const startJobs = (
  jobs: readonly Job[],
  { onBegin, onEnd, onError, isResting, unsteadyMs = 0 }: Watcher,
): Jobs => {
  const running = new Map<string, Promise<unknown>>()
  let steadyAt = performance.now() + unsteadyMs
  const start = (job: Job): void => {
    if (running.has(job.name) || isResting?.(job.name)) return
    if (job.deletesOld && performance.now() < steadyAt) return
    onBegin?.(job.name)
    running.set(job.name, finish(job))
  }
  const finish = async ({ name, run }: Job): Promise<void> => {
    try {
      await Promise.resolve().then(run)
    } catch (error) {
      onError(name, error)
    } finally {
      running.delete(name)
      onEnd?.(name)
    }
  }
  const timetables = jobs.map((job) => ({ job, timetable: timetableOf(job) }))
  const nextOf = (timetable: ScheduledTask): number => timetable.getNextRuns(1)[0]?.getTime() ?? Infinity
  const due = timetables.map(({ timetable }) => nextOf(timetable))
  let checkedAt = Date.now()
  let elapsed = performance.now()
  const check = (): void => {
    const now = Date.now()
    const isSetBack = now < checkedAt
    const step = now - checkedAt - (performance.now() - elapsed)
    checkedAt = now
    elapsed = performance.now()
    if (step > LARGEST_STEP_MS) steadyAt = Math.max(steadyAt, elapsed + STEADY_MS)
    for (const [i, { job, timetable }] of timetables.entries()) {
      const isDue = now >= (due[i] ?? Infinity)
      if (isDue || isSetBack) due[i] = nextOf(timetable)
      if (isDue) start(job)
    }
  }
  const checking = setInterval(check, CHECK_MS).unref()
  return {
    stop: async () => {
      clearInterval(checking)
      for (const { timetable } of timetables) await timetable.destroy()
      await Promise.all(running.values())
    },
  }
}

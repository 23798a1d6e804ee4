import { createTask, validate, type ScheduledTask } from 'node-cron'
import type { KeptSchedule } from './storage/schedules.js'

/** Set times. */
export type Schedule = {
  /** Five or six fields of cron. */
  cron: string
  /** An IANA time zone; UTC unless said. */
  timeZone?: string
}

/** Something that is done at set times. */
export type Job = Schedule & { name: string; run: () => Promise<unknown> }

export type Jobs = {
  /** Ends the schedule and waits for what is under way. */
  stop: () => Promise<void>
}

export const isCronExpression = (text: string): boolean => validate(text)

/** When a schedule comes round next, by the clock that jobs run by: the machine's. */
export const nextTime = ({ cron, timeZone = 'UTC' }: Schedule): Date | undefined => {
  const task = createTask(cron, nothing, { timezone: timeZone })
  const [next] = task.getNextRuns(1)
  void task.destroy()
  return next
}

/** A schedule whose times must not be missed (storage/kept-job.ts). */
export const keptSchedule = (job: string, { cron, timeZone = 'UTC' }: Schedule): KeptSchedule => ({
  job,
  cron,
  timeZone,
  next: () => nextTime({ cron, timeZone }),
})

type Watcher = {
  onBegin?: (job: string) => void
  onEnd?: (job: string) => void
  onError: (job: string, error: unknown) => void
  isResting?: (job: string) => boolean
}

/** Runs jobs at their times, each one alone: a run that is due while the last one goes on, or while the job rests, is left out. */
export const startJobs = (jobs: readonly Job[], { onBegin, onEnd, onError, isResting }: Watcher): Jobs => {
  const underWay = new Set<Promise<unknown>>()
  const tasks: ScheduledTask[] = []
  for (const { name, cron, timeZone = 'UTC', run } of jobs) {
    const guarded = async (): Promise<void> => {
      if (isResting?.(name)) return
      onBegin?.(name)
      const running = run().catch((error: unknown) => {
        onError(name, error)
      })
      underWay.add(running)
      try {
        await running
      } finally {
        underWay.delete(running)
        onEnd?.(name)
      }
    }
    const task = createTask(cron, guarded, { name, timezone: timeZone, noOverlap: true, unref: true, logger: silent })
    void task.start()
    tasks.push(task)
  }
  return {
    stop: async () => {
      for (const task of tasks) await task.destroy()
      await Promise.all(underWay)
    },
  }
}

const nothing = (): void => undefined
/** Missed and overlapping runs are of no interest: every job does all that is due, and storage/kept-job.ts keeps times. */
const silent = { info: nothing, warn: nothing, error: nothing, debug: nothing }

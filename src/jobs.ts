import { createTask, validate, type ScheduledTask } from 'node-cron'

/** Something that is done at set times. */
export type Job = {
  name: string
  /** Five or six fields of cron. */
  cron: string
  /** An IANA time zone; UTC unless said. */
  timeZone?: string
  run: () => Promise<unknown>
}

export type Jobs = {
  /** When a job runs next. */
  next: (name: string) => Date | undefined
  /** Ends the schedule and waits for what is under way. */
  stop: () => Promise<void>
}

export const isCronExpression = (text: string): boolean => validate(text)

/** Runs jobs at their times, each one alone: a run that is due while the last one goes on is left out. */
export const startJobs = (jobs: readonly Job[], onError: (job: string, error: unknown) => void): Jobs => {
  const underWay = new Set<Promise<unknown>>()
  const tasks = new Map<string, ScheduledTask>()
  for (const { name, cron, timeZone = 'UTC', run } of jobs) {
    const guarded = async (): Promise<void> => {
      const running = run().catch((error: unknown) => {
        onError(name, error)
      })
      underWay.add(running)
      await running
      underWay.delete(running)
    }
    const task = createTask(cron, guarded, { name, timezone: timeZone, noOverlap: true, unref: true, logger: silent })
    void task.start()
    tasks.set(name, task)
  }
  return {
    next: (name) => tasks.get(name)?.getNextRun() ?? undefined,
    stop: async () => {
      for (const task of tasks.values()) await task.destroy()
      await Promise.all(underWay)
    },
  }
}

const nothing = (): void => undefined
/** Missed and overlapping runs are of no interest: every job does all that is due. */
const silent = { info: nothing, warn: nothing, error: nothing, debug: nothing }

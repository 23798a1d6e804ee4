import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { isFields } from '../events/json.js'
import { readTextFile } from '../runtime/read-file.js'
import { hasCause } from '../storage/unavailable.js'
import { isCancelled } from '../storage/sql/database.js'

/**
 * A job that rests. If a statement of a job keeps the embedded database busy for too long, the next run would probably do the
 * same. So the job rests, and the service stores notifications meanwhile. Most statements can be ended
 * (storage/embedded/statement-limit.ts), so that their job is known. If the watchdog has to end the process, it first records
 * which jobs were running, and these rest after the next start. If a job takes too long again within a day after its rest, it
 * rests twice as long.
 */
export type BlockedJob = {
  job: string
  /** When its statement was ended, or the process while the job was running. */
  at: Date
  /** The duration of the rest from `at` on. */
  minutes: number
}

/** The minutes of the first and of the longest rest. With these limits after a statement, an hourly job misses no run. */
const AFTER_STATEMENT = { first: 5, longest: 25 }
const AFTER_PROCESS = { first: 20, longest: 24 * 60 }
const MINUTE_MS = 60_000
/** Milliseconds. */
const DAY = 24 * 60 * MINUTE_MS

/**
 * Jobs that never rest. Their statements are small whatever was sent, so they cannot keep the database busy. Salts must not live
 * longer than configured.
 */
const NEVER_BLOCK: ReadonlySet<string> = new Set([
  ...['rotate salts', 'write receptions', 'write senders', 'refresh registries', 'show service', 'checkpoint'],
])

/** In the data directory. */
const FILE = 'blocked-jobs.json'
/** The largest size in bytes of the file, and of the note. */
const LARGEST_FILE = 65_536
const MOST_JOBS = 100
const JOB_NAME = /^[\w -]{1,100}$/

export type JobRests = {
  /** The rests that earlier processes recorded. */
  noted: readonly BlockedJob[]
  onBegin: (job: string) => void
  onEnd: (job: string) => void
  isResting: (job: string) => boolean
  /**
   * Must be called when a statement of the job was ended.
   * @returns the rest that begins; undefined for a job that never rests
   */
  rest: (job: string) => BlockedJob | undefined
  /** What the watchdog's thread reads if this thread is blocked: a `WatchdogNote` as JSON in UTF-8, followed by a zero byte. */
  note: SharedArrayBuffer
}

/** What the watchdog writes into the file: `kept` unchanged, and the entries of `blocked` with the current time. */
type WatchdogNote = { kept: readonly BlockedJob[]; blocked: readonly Omit<BlockedJob, 'at'>[] }

/** The running and the resting jobs of a data directory. */
export const createJobRests = (dataDir: string, now: () => Date): JobRests => {
  const noted = readBlockedJobs(dataDir, now())
  let known = noted
  const note = new SharedArrayBuffer(LARGEST_FILE)
  const running = new Map<string, number>()
  const write = (): void => {
    const kept = known.filter(({ job }) => !running.has(job))
    const blocked = [...running].map(([job, minutes]) => ({ job, minutes }))
    const text = Buffer.from(JSON.stringify({ kept, blocked } satisfies WatchdogNote))
    const bytes = new Uint8Array(note)
    bytes.set(text)
    bytes[text.length] = 0
  }
  write()
  return {
    noted,
    onBegin: (job) => {
      if (NEVER_BLOCK.has(job)) return
      running.set(job, nextRest(known, job, now(), AFTER_PROCESS))
      write()
    },
    onEnd: (job) => {
      running.delete(job)
      write()
    },
    isResting: (job) => isResting(known, job, now()),
    rest: (job) => {
      if (NEVER_BLOCK.has(job)) return undefined
      const at = now()
      const rest = { job, at, minutes: nextRest(known, job, at, AFTER_STATEMENT) }
      known = [...known.filter((one) => one.job !== job && isRemembered(one, at)), rest]
      write()
      try {
        writeFileSync(blockedJobsFile(dataDir), JSON.stringify(known), { mode: 0o600 })
      } catch {
        // Then the job rests only as long as this process runs.
      }
      return rest
    },
    note,
  }
}

/** Minutes. */
const nextRest = (
  known: readonly BlockedJob[],
  job: string,
  now: Date,
  { first, longest }: typeof AFTER_PROCESS,
): number => {
  const previous = known.find((one) => one.job === job && isRemembered(one, now))
  return previous ? Math.min(Math.max(2 * previous.minutes, first), longest) : first
}

const endOf = ({ at, minutes }: BlockedJob): Date => new Date(at.getTime() + minutes * MINUTE_MS)

/** A rest is remembered until a day after its end. If the clock was set back, the job does not rest any longer. */
const isRemembered = (blocked: BlockedJob, now: Date): boolean =>
  blocked.at <= now && endOf(blocked).getTime() + DAY > now.getTime()

const isAtRest = (blocked: BlockedJob, now: Date): boolean => blocked.at <= now && endOf(blocked) > now

export const blockedJobsFile = (dataDir: string): string => join(dataDir, FILE)

/** The jobs that rest, and those whose rest ended within the last day. Unreadable entries are ignored. */
export const readBlockedJobs = (dataDir: string, now: Date): BlockedJob[] => {
  let noted: unknown
  try {
    noted = JSON.parse(readTextFile(blockedJobsFile(dataDir), { bytes: LARGEST_FILE }))
  } catch {
    return []
  }
  const jobs = (Array.isArray(noted) ? noted : []).slice(0, MOST_JOBS).flatMap((one) => blockedJobIn(one) ?? [])
  return jobs.filter((one) => isRemembered(one, now))
}

const blockedJobIn = (noted: unknown): BlockedJob | undefined => {
  if (!isFields(noted)) return undefined
  const { job, at, minutes } = noted
  if (typeof job !== 'string' || !JOB_NAME.test(job)) return undefined
  if (typeof at !== 'string' || Number.isNaN(Date.parse(at))) return undefined
  if (typeof minutes !== 'number' || !(minutes >= AFTER_STATEMENT.first && minutes <= AFTER_PROCESS.longest))
    return undefined
  return { job, at: new Date(at), minutes }
}

const isResting = (known: readonly BlockedJob[], job: string, now: Date): boolean =>
  known.some((one) => one.job === job && isAtRest(one, now))

/** Logs why a job failed. A job whose statement was ended rests. */
export const onJobError =
  (rests: JobRests | undefined, log: Logger) =>
  (job: string, error: unknown): void => {
    const rest = rests && hasCause(error, isCancelled) ? rests.rest(job) : undefined
    if (rest)
      log.error(
        { err: error, job, until: endOf(rest) },
        'a statement of a job took too long and was ended; the job rests',
      )
    else log.error({ err: error, job }, 'a job failed; it will run again at its next time')
  }

export const restWarnings = (known: readonly BlockedJob[], now: Date): string[] => {
  const resting = known.filter((one) => isAtRest(one, now))
  return resting.length === 0
    ? []
    : [
        'these jobs rest, because one of their statements, or another statement while they were running, kept the embedded database busy for too long: ' +
          `${resting.map((one) => `${one.job} until ${endOf(one).toISOString()}`).join(', ')}. ` +
          'Their work waits until then. A job that takes too long again rests for longer; if that happens, use PostgreSQL (DATABASE_URL)',
      ]
}

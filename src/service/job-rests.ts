import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { isFields } from '../events/json.js'
import { readTextFile } from '../runtime/read-file.js'
import { hasCause } from '../storage/unavailable.js'
import { isCancelled } from '../storage/sql/database.js'

/**
 * A job whose statement kept the embedded database busy for too long would do so again at its next time. So it rests: meanwhile the service takes
 * notifications. Most statements can be ended (storage/embedded/statement-limit.ts), and their job is known. Before the watchdog ends the process, it notes which
 * jobs were under way, and these rest after the next start. A job that blocks again within a day after its rest, rests twice as long.
 */
export type BlockedJob = {
  job: string
  /** When its statement was ended, or a process while it was under way. */
  at: Date
  /** How long it rests from then on. */
  minutes: number
}

/** Minutes of the first rest and of the longest. A job that runs each hour misses no run. */
const AFTER_STATEMENT = { first: 5, longest: 25 }
const AFTER_PROCESS = { first: 20, longest: 24 * 60 }
const MINUTE_MS = 60_000
/** Milliseconds. */
const DAY = 24 * 60 * MINUTE_MS

/** Jobs whose statements are small, whatever was sent: they are not what keeps the database busy. Nor may salts live longer than they should. */
const NEVER_BLOCK: ReadonlySet<string> = new Set([
  ...['rotate salts', 'write receptions', 'write senders', 'refresh registries', 'show service', 'checkpoint'],
])

/** In the data directory. */
const FILE = 'blocked-jobs.json'
/** Bytes of the file, and of what is noted in it. */
const LARGEST_FILE = 65_536
const MOST_JOBS = 100
const JOB_NAME = /^[\w -]{1,100}$/

export type JobRests = {
  /** What was noted by earlier processes. */
  noted: readonly BlockedJob[]
  onBegin: (job: string) => void
  onEnd: (job: string) => void
  isResting: (job: string) => boolean
  /** A statement of the job was ended. @returns the rest that begins; undefined for a job that never rests */
  rest: (job: string) => BlockedJob | undefined
  /** What the watchdog's thread reads while this one stands still: a `WatchdogNote` as JSON in UTF-8 that ends with a zero. */
  note: SharedArrayBuffer
}

/** What the watchdog writes into the file: `kept` as it is, and all of `blocked` with the time. */
type WatchdogNote = { kept: readonly BlockedJob[]; blocked: readonly Omit<BlockedJob, 'at'>[] }

/** The jobs of a data directory that are under way, and those that rest. */
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
        // The job rests all the same, as long as this process runs.
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

/** Until a day after its rest. A clock that was set back does not make a job rest for longer. */
const isRemembered = (blocked: BlockedJob, now: Date): boolean =>
  blocked.at <= now && endOf(blocked).getTime() + DAY > now.getTime()

const isAtRest = (blocked: BlockedJob, now: Date): boolean => blocked.at <= now && endOf(blocked) > now

export const blockedJobsFile = (dataDir: string): string => join(dataDir, FILE)

/** The jobs that rest, and those whose rest ended in the last day. What was noted and cannot be read is left out. */
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
        'these jobs rest, because a statement of theirs, or one while they were under way, kept the embedded database busy for too long: ' +
          `${resting.map((one) => `${one.job} until ${endOf(one).toISOString()}`).join(', ')}. ` +
          'What they do waits until then. A job that takes too long again rests for longer; if that happens, use PostgreSQL (DATABASE_URL)',
      ]
}

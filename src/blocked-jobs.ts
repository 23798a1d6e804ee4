import { join } from 'node:path'
import { isFields } from './events/excerpt.js'
import { readTextFile } from './files/read-file.js'

/**
 * A job whose statement kept the embedded database busy for too long would do so again after each start. So the watchdog notes, before it ends the
 * process, which jobs were under way, and these rest after the next start: meanwhile the service takes notifications. A job that blocks again within a day
 * after its rest, rests twice as long.
 */
export type BlockedJob = {
  job: string
  /** When a process was ended while it was under way. */
  at: Date
  /** How long it rests from then on. */
  minutes: number
}

const FIRST_REST = 20
const LONGEST_REST = 24 * 60
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

/** Jobs that are under way, where another thread can read them while this one stands still. */
export type RunningJobs = {
  begin: (job: string) => void
  end: (job: string) => void
  /** A `WatchdogNote` as JSON in UTF-8 that ends with a zero. */
  note: SharedArrayBuffer
}

/** What the watchdog writes into the file: `kept` as it is, and all of `blocked` with the time. */
type WatchdogNote = { kept: readonly BlockedJob[]; blocked: readonly Omit<BlockedJob, 'at'>[] }

/** @param known of previous processes: what is noted contains them still */
export const createRunningJobs = (known: readonly BlockedJob[], now: () => Date): RunningJobs => {
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
    begin: (job) => {
      if (NEVER_BLOCK.has(job)) return
      running.set(job, nextRest(known, job, now()))
      write()
    },
    end: (job) => {
      running.delete(job)
      write()
    },
    note,
  }
}

/** Minutes. */
const nextRest = (known: readonly BlockedJob[], job: string, now: Date): number => {
  const previous = known.find((one) => one.job === job && isRemembered(one, now))
  return previous ? Math.min(2 * previous.minutes, LONGEST_REST) : FIRST_REST
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
  if (typeof minutes !== 'number' || !(minutes >= FIRST_REST && minutes <= LONGEST_REST)) return undefined
  return { job, at: new Date(at), minutes }
}

export const isResting = (known: readonly BlockedJob[], job: string, now: Date): boolean =>
  known.some((one) => one.job === job && isAtRest(one, now))

export const restWarnings = (known: readonly BlockedJob[], now: Date): string[] => {
  const resting = known.filter((one) => isAtRest(one, now))
  return resting.length === 0
    ? []
    : [
        'a process was ended because one statement or computation kept it busy for too long while these jobs were under way. They rest: ' +
          `${resting.map((one) => `${one.job} until ${endOf(one).toISOString()}`).join(', ')}. ` +
          'A job that was under way again rests for longer; if that happens, use PostgreSQL (DATABASE_URL)',
      ]
}

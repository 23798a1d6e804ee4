import { join } from 'node:path'
import { isFields } from './events/excerpt.js'
import { readTextFile } from './files/read-file.js'

/**
 * A job whose statement kept the embedded database busy for too long would do so again after each start. So the watchdog notes, before it ends the
 * process, which jobs were under way, and these rest after the next start: meanwhile the service takes notifications.
 */
const REST_MS = 20 * 60_000

/** In the data directory. */
const FILE = 'blocked-jobs.json'
/** Bytes. */
const LONGEST_NAMES = 4_000
const LARGEST_FILE = 65_536

/** Jobs that are under way, where another thread can read them while this one stands still. */
export type RunningJobs = {
  begin: (job: string) => void
  end: (job: string) => void
  /** Their names, one in each line, as UTF-8 that ends with a zero. */
  names: SharedArrayBuffer
}

export const createRunningJobs = (): RunningJobs => {
  const names = new SharedArrayBuffer(LONGEST_NAMES)
  const running = new Set<string>()
  const write = (): void => {
    const bytes = new Uint8Array(names)
    const text = Buffer.from([...running].join('\n')).subarray(0, LONGEST_NAMES - 1)
    bytes.set(text)
    bytes.fill(0, text.length)
  }
  return {
    begin: (job) => {
      running.add(job)
      write()
    },
    end: (job) => {
      running.delete(job)
      write()
    },
    names,
  }
}

export const blockedJobsFile = (dataDir: string): string => join(dataDir, FILE)

/** Jobs that rest because the last process stood still while they were under way. */
export type Rest = { jobs: readonly string[]; until: Date }

/** @returns undefined if no job rests, or what was noted cannot be read */
export const readRest = (dataDir: string, now: Date): Rest | undefined => {
  let noted: unknown
  try {
    noted = JSON.parse(readTextFile(blockedJobsFile(dataDir), { bytes: LARGEST_FILE }))
  } catch {
    return undefined
  }
  if (!isFields(noted) || typeof noted.at !== 'string' || typeof noted.jobs !== 'string' || noted.jobs === '')
    return undefined
  const until = new Date(Date.parse(noted.at) + REST_MS)
  const isUnderWay = until > now && until.getTime() <= now.getTime() + REST_MS
  return isUnderWay ? { jobs: noted.jobs.split('\n'), until } : undefined
}

export const restWarnings = (rest: Rest | undefined): string[] =>
  rest === undefined
    ? []
    : [
        `the last process was ended because one statement or computation kept it busy for too long while these jobs were under way: ` +
          `${rest.jobs.join(', ')}. They rest until ${rest.until.toISOString()}; if it happens again, use PostgreSQL (DATABASE_URL)`,
      ]

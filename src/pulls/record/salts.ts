import { sql } from 'kysely'
import { isoTime, microsOf, type Micros } from '../../events/calendar.js'
import type { Database } from '../../storage/database.js'
import { longestBlobs } from '../fold/state.js'
import type { Windows } from '../fold/windows.js'

/** How long an origin has the same name. */
export const ROTATIONS = ['monthly', 'daily', 'never'] as const
export type Rotation = (typeof ROTATIONS)[number]

/** A secret of a period, mixed into every origin: once it is destroyed, nobody can tell whose origin one was. */
export type Salt = { from: Micros; until: Micros; text: string }

export type Salts = {
  /** The salt of a moment, or the nearest that there is. */
  at: (moment: Micros) => Salt
  /** The one before it. */
  before: (salt: Salt) => Salt | undefined
  /** Makes the salts of now and of the next period, and destroys those that ended more than a window ago. */
  rotate: () => Promise<void>
}

type Needs = {
  database: Database
  rotation: Rotation
  /** How long after its end a salt is needed, in microseconds: see `saltWindow`. */
  window: Micros
  now: () => Date
  /** A new secret. */
  random: () => string
}

/**
 * How long after its end a salt is needed, in microseconds: requests that belong together have one origin, also the blobs of a
 * pull that a lazy snapshotter reads for hours, however late they arrive.
 */
export const saltWindow = (windows: Windows, lateness: Micros): Micros =>
  Math.max(windows.join, longestBlobs(windows)) + lateness

/** The salts of all processes on one database. Without the key of the installation they are worth nothing. */
export const createSalts = async ({ database, rotation, window, now, random }: Needs): Promise<Salts> => {
  let salts: Salt[] = []

  const rotate = async (): Promise<void> => {
    const at = microsOf(now())
    const current = periodOf(at, rotation)
    const wanted = rotation === 'never' ? [current] : [current, periodOf(current.until, rotation)]
    await sql`
      insert into pulls.salts (rotation, starts_at, ends_at, salt)
      select ${rotation}, * from unnest(
        ${wanted.map(({ from }) => isoTime(from))}::timestamptz[],
        ${wanted.map(({ until }) => isoTime(until))}::timestamptz[],
        ${wanted.map(random)}::text[]
      )
      on conflict do nothing
    `.execute(database.sql)
    await sql`
      delete from pulls.salts where rotation <> ${rotation} or ends_at < ${isoTime(at - window)}::timestamptz
    `.execute(database.sql)
    const { rows } = await sql<{ from: string; until: string; text: string }>`
      select (extract(epoch from starts_at) * 1000000)::bigint::text as from,
        (extract(epoch from ends_at) * 1000000)::bigint::text as until, salt as text
      from pulls.salts order by starts_at
    `.execute(database.sql)
    salts = rows.map(({ from, until, text }) => ({ from: Number(from), until: Number(until), text }))
  }

  await rotate()
  return {
    at: (moment) => {
      const known = salts.findLast(({ from }) => from <= moment) ?? salts[0]
      if (!known) throw new Error('there is no salt; run the service once with a database that it may write to')
      return known
    },
    before: (salt) => salts.findLast(({ until }) => until <= salt.from),
    rotate,
  }
}

/** The UTC day or month of a moment; a hundred years without rotation. */
export const periodOf = (at: Micros, rotation: Rotation): { from: Micros; until: Micros } => {
  const date = new Date(at / 1000)
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()]
  if (rotation === 'never') return { from: 0, until: Date.UTC(2100, 0) * 1000 }
  if (rotation === 'daily')
    return { from: Date.UTC(year, month, day) * 1000, until: Date.UTC(year, month, day + 1) * 1000 }
  return { from: Date.UTC(year, month) * 1000, until: Date.UTC(year, month + 1) * 1000 }
}

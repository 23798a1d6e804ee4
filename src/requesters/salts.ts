import { randomBytes } from 'node:crypto'
import { microsOf, type Micros } from '../events/calendar.js'

/** How often the hash of an origin changes. */
export const ROTATIONS = ['monthly', 'daily', 'never'] as const
export type Rotation = (typeof ROTATIONS)[number]

export const isRotation = (text: string | undefined): text is Rotation =>
  (ROTATIONS as readonly (string | undefined)[]).includes(text)

/**
 * A secret of one period, which is part of the key of every origin. Once it is destroyed, it is impossible to compute to whom an
 * origin belonged.
 */
export type Salt = { from: Micros; until: Micros; text: string }

/** The text of a new salt: 256 bits in base64url. */
export const newSalt = (): string => randomBytes(32).toString('base64url')

/** Whether a text has the form of a salt. A crash may leave NULs or a part of a salt, which others could guess. */
export const isSalt = (text: string): boolean => /^[A-Za-z0-9_-]{43}$/.test(text)

export type StoredSalt = Salt & { rotation: Rotation }

/** Where salts are stored: `createSaltTable` for PostgreSQL, `createSaltFiles` beside the embedded database. */
export type SaltStore = {
  /** All salts, in the order of their periods. */
  list: () => Promise<StoredSalt[]>
  /** Stores salts. If a period has a salt of the same rotation already, that salt stays. */
  add: (salts: readonly StoredSalt[]) => Promise<void>
  /** Destroys salts of other rotations, and salts that ended before `since`. */
  keepOnly: (rotation: Rotation, since: Micros) => Promise<void>
}

export type Salts = {
  /** The salt of the period that contains a moment, or the nearest salt. */
  at: (moment: Micros) => Salt
  /** The salt of the previous period. */
  before: (salt: Salt) => Salt | undefined
  /** Creates the salts of the current and of the next period, and destroys salts that ended more than `window` ago. */
  rotate: () => Promise<void>
}

type SaltDeps = {
  store: SaltStore
  rotation: Rotation
  /** How long a salt is needed after the end of its period, in microseconds: `saltWindow` of the fold. */
  window: Micros
  now: () => Date
  /** A new secret. */
  random: () => string
}

/**
 * The salts that all processes on one store share. They reveal nothing without the users key. Creates the salts of the current and of
 * the next period, and destroys none.
 */
export const createSalts = async ({ store, rotation, window, now, random }: SaltDeps): Promise<Salts> => {
  let salts: Salt[] = []

  const addMissing = async (): Promise<void> => {
    const current = periodOf(microsOf(now()), rotation)
    const wanted = rotation === 'never' ? [current] : [current, periodOf(current.until, rotation)]
    // A restored database may lack a salt that is already in use. That salt is stored again.
    const textOf = (from: Micros): string => salts.find((salt) => salt.from === from)?.text ?? random()
    await store.add(wanted.map((period) => ({ rotation, ...period, text: textOf(period.from) })))
  }
  const load = async (): Promise<void> => {
    salts = (await store.list()).filter((salt) => salt.rotation === rotation)
  }

  // Only `rotate` destroys salts: the clock may be ahead at the start, and a destroyed salt cannot be restored.
  await addMissing()
  await load()
  return {
    at: (moment) => {
      const known = salts.findLast(({ from }) => from <= moment) ?? salts[0]
      if (!known) throw new Error('there is no salt; run the service once with a database that it may write to')
      return known
    },
    before: (salt) => salts.findLast(({ until }) => until <= salt.from),
    rotate: async () => {
      await addMissing()
      await store.keepOnly(rotation, microsOf(now()) - window)
      await load()
    },
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

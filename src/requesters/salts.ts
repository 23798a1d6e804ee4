import { microsOf, type Micros } from '../events/calendar.js'

/** How long an origin has the same name. */
export const ROTATIONS = ['monthly', 'daily', 'never'] as const
export type Rotation = (typeof ROTATIONS)[number]

export const isRotation = (text: string | undefined): text is Rotation =>
  (ROTATIONS as readonly (string | undefined)[]).includes(text)

/** A secret of a period, mixed into every origin. Once it is destroyed, no one can find out whose origin it was. */
export type Salt = { from: Micros; until: Micros; text: string }

export type StoredSalt = Salt & { rotation: Rotation }

/** Where salts are stored: `createSaltTable` for PostgreSQL, `createSaltFiles` beside the embedded database. */
export type SaltStore = {
  /** All salts, in the order of their periods. */
  list: () => Promise<StoredSalt[]>
  /** Stores salts of periods that have none of their rotation; the others keep the one that they have. */
  add: (salts: readonly StoredSalt[]) => Promise<void>
  /** Destroys the salts of other rotations and those that ended before `since`. */
  keepOnly: (rotation: Rotation, since: Micros) => Promise<void>
}

export type Salts = {
  /** The salt of a moment, or the nearest that there is. */
  at: (moment: Micros) => Salt
  /** The one before it. */
  before: (salt: Salt) => Salt | undefined
  /** Makes the salts of now and of the next period, and destroys those that ended more than a window ago. */
  rotate: () => Promise<void>
}

type SaltDeps = {
  store: SaltStore
  rotation: Rotation
  /** How long after its end a salt is needed, in microseconds: `saltWindow` of the fold. */
  window: Micros
  now: () => Date
  /** A new secret. */
  random: () => string
}

/** The salts of all processes on one store. Without the key of the installation they are worth nothing. */
export const createSalts = async ({ store, rotation, window, now, random }: SaltDeps): Promise<Salts> => {
  let salts: Salt[] = []

  const rotate = async (): Promise<void> => {
    const at = microsOf(now())
    const current = periodOf(at, rotation)
    const wanted = rotation === 'never' ? [current] : [current, periodOf(current.until, rotation)]
    // A database that was restored may lack a salt by which clients are known already: it gets the same one again.
    const textOf = (from: Micros): string => salts.find((salt) => salt.from === from)?.text ?? random()
    await store.add(wanted.map((period) => ({ rotation, ...period, text: textOf(period.from) })))
    await store.keepOnly(rotation, at - window)
    salts = await store.list()
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

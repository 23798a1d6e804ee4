import type { Micros } from '../events/calendar.js'
import { keyedHash } from '../runtime/keyed-hash.js'
import { periodOf, type Rotation, type Salt, type Salts } from './salts.js'

/**
 * The salts of requests in files. Each follows from the users key and its period, so that all imports of a period agree, whenever they
 * are made. Unlike other salts they are never destroyed: whoever has the users key can compute the origin of an address
 * (docs/definitions-of-numbers.md, "Unique pullers").
 */
export const createDerivedSalts = (key: string, rotation: Rotation): Pick<Salts, 'at' | 'before'> => {
  const known = new Map<Micros, Salt>()
  const saltIn = (moment: Micros): Salt => {
    const period = periodOf(moment, rotation)
    const salt = known.get(period.from) ?? {
      ...period,
      text: keyedHash(key, `salt of files, ${rotation}, ${period.from}`),
    }
    known.set(period.from, salt)
    return salt
  }
  let last = saltIn(0)
  return {
    at: (moment) => {
      if (moment < last.from || moment >= last.until) last = saltIn(moment)
      return last
    },
    before: ({ from }) => (rotation === 'never' ? undefined : saltIn(from - 1)),
  }
}

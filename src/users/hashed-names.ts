import { keyedHash } from '../runtime/keyed-hash.js'
import { createRecentMap } from '../runtime/recent-map.js'
import { comparable, type UserDirectory } from './directory.js'

const REMEMBERED_NAMES = 20_000

/** A directory that returns an id for every name, synchronously. */
export type HashedNames = Omit<UserDirectory, 'idOf'> & { idOf: (name: string) => string }

/**
 * Counts people by a keyed hash of their name (HMAC-SHA256, 128 bits, base64url). The same name gives the same id, and without the
 * key a name cannot be found from an id.
 */
export const createHashedNames = (key: string): HashedNames => {
  const remembered = createRecentMap<string>(REMEMBERED_NAMES)
  return {
    kind: 'hash',
    idOf: (name) => {
      const compared = comparable(name)
      const known = remembered.get(compared)
      if (known !== undefined) return known
      const id = keyedHash(key, compared)
      remembered.set(compared, id)
      return id
    },
    close: () => undefined,
  }
}

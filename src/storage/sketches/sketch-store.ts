import type { Transaction } from '../sql/database.js'
import type { HyperLogLog } from './hyperloglog/hyperloglog.js'
import { UserError } from '../../runtime/user-error.js'

/** A key contains no sketch, or one that no set of members can produce. The message names a key and explains what to do. */
export class DamagedSketch extends UserError {
  override readonly kind = 'upstream'
  constructor(keys: readonly string[]) {
    super(
      `what is stored under ${keys.length === 1 ? '' : `one of ${keys.length} keys, the first of them `}${keys[0] ?? ''} is no sketch ` +
        'that can be counted; restore it from a backup, or delete the key',
    )
  }
}

/** The count of a union of keys, or an error if no set of members can have it. */
export const possibleCount = (keys: readonly string[], count: number): number | DamagedSketch =>
  count >= 0 && count < Number.MAX_SAFE_INTEGER ? count : new DamagedSketch(keys)

/** Members to add to one sketch. Adding a member again changes nothing. */
export type SketchAddition = {
  key: string
  members: ReadonlySet<string>
  /** Seconds to keep the sketch, counted from this write. */
  seconds: number
  /** Any process may replace the sketch, so the added members must not be assumed to stay in it. */
  replaceable?: boolean
}

/** A stored sketch: bytes in Redis's format, and the remaining seconds of its lifetime. */
export type StoredSketch = { key: string; bytes: Uint8Array; seconds: number }

/** Which installation a store of sketches belongs to, beside all sketches. */
type SketchBinding = {
  /** The key that contains its uuid. */
  key: string
  /** @returns undefined if the store belongs to no installation */
  read: () => Promise<string | undefined>
  /** Binds the store to an installation, unless it belongs to one. */
  bind: (uuid: string) => Promise<void>
}

/** How much memory a server may use, and what it does at the limit. */
export type MemoryLimit = {
  /** Host and port of a server of a Cluster. */
  server?: string
  /** 0 without a limit. */
  maxBytes: number
  /** Redis's `maxmemory-policy`. */
  policy: string
  /** Keys that were removed for lack of memory since the server started, in all its databases. */
  evictedKeys: number
}

/**
 * A store of sketches (HyperLogLog), with two implementations: Redis, and a table of the SQL database.
 * SQL writes in the caller's transaction, Redis writes at once. Both are safe, because adding a member twice changes nothing.
 */
export type SketchStore = {
  name: 'redis' | 'sql'
  add: (additions: readonly SketchAddition[], tx: Transaction) => Promise<void>
  /**
   * Adds members without a transaction if that is possible: the store is not in the SQL database, or all members are known to be
   * stored. Returns undefined if a transaction is needed.
   */
  addAlone: (additions: readonly SketchAddition[]) => Promise<void> | undefined
  /** Replaces the sketch under a key; without a sketch, removes the key. */
  replace: (key: string, sketch: HyperLogLog | undefined, seconds: number, tx: Transaction) => Promise<void>
  /**
   * Distinct members of each union of keys, in one round trip; keys that do not exist count as empty. For a union that fails, a
   * `DamagedSketch` or the store's error; the others are still counted.
   */
  count: (unions: readonly (readonly string[])[]) => Promise<(number | Error)[]>
  /** All sketches whose key begins with a prefix, in any order. */
  entries: (prefix: string) => AsyncIterable<StoredSketch>
  /** Merges a sketch into the stored one with its key; without a stored one, stores it byte for byte. */
  merge: (sketch: StoredSketch) => Promise<void>
  /** Writes a key that counts nowhere. Fails if the store accepts no writes. Does nothing for a store in the SQL database. */
  probeWrite: () => Promise<void>
  /** Missing if the sketches are a part of the SQL database. */
  binding?: SketchBinding
  /** The limits of all servers that answer. Missing if the sketches are a part of the SQL database. */
  memoryLimits?: () => Promise<MemoryLimit[]>
  /** The server's version. Fails if the server does not answer. */
  version: () => Promise<string>
  close: () => Promise<void>
}

import type { Transaction } from '../sql/database.js'
import type { HyperLogLog } from './hyperloglog/hyperloglog.js'

/** What is stored under one of the keys is no sketch, or one that no members can have made. The message has a key and what to do. */
export class DamagedSketch extends Error {
  constructor(keys: readonly string[]) {
    super(
      `what is stored under ${keys.length === 1 ? '' : `one of ${keys.length} keys, the first of them `}${keys[0] ?? ''} is no sketch ` +
        'that can be counted; restore it from a backup, or delete the key',
    )
  }
}

/** The answer for a union of keys, if it can be one. */
export const possibleCount = (keys: readonly string[], count: number): number | DamagedSketch =>
  count >= 0 && count < Number.MAX_SAFE_INTEGER ? count : new DamagedSketch(keys)

/** Members for one sketch. Adding what is there already changes nothing. */
export type SketchAddition = {
  key: string
  members: ReadonlySet<string>
  /** Seconds to keep the sketch, counted from this write. */
  seconds: number
  /** The sketch may be replaced by any process, so what was added must not be taken for granted later. */
  replaceable?: boolean
}

/** A sketch as it is stored: bytes in Redis's format, and the seconds it still has. */
export type StoredSketch = { key: string; bytes: Uint8Array; seconds: number }

/**
 * Where sketches (HyperLogLog) are kept. Two implementations: Redis, and a table of the SQL database.
 * The SQL one works in the transaction it is given, Redis at once; adding twice is harmless, so both are safe.
 */
export type SketchStore = {
  name: 'redis' | 'sql'
  add: (additions: readonly SketchAddition[], tx: Transaction) => Promise<void>
  /**
   * Adds where that needs no transaction: the store has no part in them, or knows that all members are there.
   * Undefined where it does need one.
   */
  addAlone: (additions: readonly SketchAddition[]) => Promise<void> | undefined
  /** Puts a sketch in the place of what was there; without a sketch removes the key. */
  replace: (key: string, sketch: HyperLogLog | undefined, seconds: number, tx: Transaction) => Promise<void>
  /** Distinct members of each union of keys, in one round trip; keys that do not exist are empty. One that fails does not harm the others: a `DamagedSketch`, or the store's error. */
  count: (unions: readonly (readonly string[])[]) => Promise<(number | Error)[]>
  /** All sketches whose key begins with a prefix, in no order. */
  entries: (prefix: string) => AsyncIterable<StoredSketch>
  /** Unites a sketch with what is stored under its key; takes it over byte for byte where nothing is. */
  merge: (sketch: StoredSketch) => Promise<void>
  /** Writes something that counts nowhere. Fails when the store takes no writes; a part of the SQL database answers at once. */
  probeWrite: () => Promise<void>
  /** The server's version. Fails when it does not answer. */
  version: () => Promise<string>
  close: () => Promise<void>
}

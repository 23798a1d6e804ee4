import { parseTimestamp, startOfDay } from '../../events/calendar.js'
import { isStorableText } from '../../events/storable-text.js'
import type { Key, KeyKind } from './question.js'

/** Longer than any key, which has two names and two digests at most. */
const LONGEST = 2_048

/** Where the next page begins, as text that clients send back unchanged. */
export const cursorOf = (key: Key): string => Buffer.from(JSON.stringify(key)).toString('base64url')

/** The key in a cursor; undefined if the text is not a cursor of that question. */
export const keyIn = (cursor: string, kinds: readonly KeyKind[]): Key | undefined => {
  if (cursor.length > LONGEST || !/^[\w-]+$/.test(cursor)) return undefined
  const key = parsed(Buffer.from(cursor, 'base64url').toString())
  if (!Array.isArray(key) || key.length !== kinds.length) return undefined
  return kinds.every((kind, i) => IS[kind](key[i])) ? (key as Key) : undefined
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

const isText = (value: unknown): value is string => typeof value === 'string' && isStorableText(value)

/** Whether a text is a number that `bigint` of PostgreSQL can store. */
const isBigint = (text: string): boolean =>
  /^-?\d{1,19}$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text)

/** The format of times in cursors: PostgreSQL accepts neither every offset of RFC 3339 nor every number of digits. */
const TIME = /^[^.]{19}(?:\.\d{1,6})?Z$/

const IS: Record<KeyKind, (value: unknown) => boolean> = {
  // Cursors of earlier versions have a number.
  bigint: (value) => Number.isSafeInteger(value) || (isText(value) && isBigint(value)),
  id: (value) => Number.isInteger(value) && Math.abs(value as number) < 2 ** 31,
  text: isText,
  time: (value) => isText(value) && TIME.test(value) && parseTimestamp(value) !== undefined,
  day: (value) => isText(value) && startOfDay(value) !== undefined,
  uuid: (value) => isText(value) && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value),
}

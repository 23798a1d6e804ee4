import { isStorableText } from './storable-text.js'

/**
 * Fields that an event can lack and still show what happened, to which object, and when. An unreadable one is unknown, as if the
 * registry had not sent it. The event still counts, and the unreadable field is counted by its name (docs/operations.md).
 */
export const SIDE_FIELDS = [
  'id',
  'request',
  'request.id',
  'request.addr',
  'request.host',
  'request.method',
  'request.useragent',
  'actor',
  'actor.name',
  'actor.user_type',
  'actor.user',
  'source',
  'source.addr',
  'source.instanceID',
  'target.mediaType',
  'target.size',
  'target.url',
  'target.references',
  'target.rename',
] as const
export type SideField = (typeof SIDE_FIELDS)[number]

/** The largest number of characters of a text, unless its field has a different limit. */
const LONGEST_TEXT = 1_024

/** Whether a value is text that can be stored, has at most `longest` characters, and is not empty. */
const isStorable = (value: unknown, longest: number): value is string =>
  typeof value === 'string' && value !== '' && value.length <= longest && isStorableText(value)

/** Text that can be stored; undefined for anything else. */
export const shortText = (value: unknown): string | undefined => (isStorable(value, LONGEST_TEXT) ? value : undefined)

/** Missing, null and "" are the same: distribution 3 sends "" for fields that distribution 2 omits. */
export const isMissing = (value: unknown): boolean => value === undefined || value === null || value === ''

/** The list to which the unreadable side fields of one event are added. */
export type UnreadableFields = SideField[]

/**
 * Reads a side field with free text. Returns undefined if the field is missing or unreadable; an unreadable field is added to
 * `unreadable`.
 */
export const freeText = (
  value: unknown,
  field: SideField,
  unreadable: UnreadableFields,
  longest = LONGEST_TEXT,
): string | undefined => {
  if (isMissing(value)) return undefined
  if (isStorable(value, longest)) return value
  unreadable.push(field)
  return undefined
}

/**
 * Reads a side field whose text distinguishes people or objects. U+FFFD replaces bytes that were lost, and two names may differ
 * only in these bytes. So a text with U+FFFD is unreadable.
 */
export const exactText = (
  value: unknown,
  field: SideField,
  unreadable: UnreadableFields,
  longest?: number,
): string | undefined => {
  const text = freeText(value, field, unreadable, longest)
  if (text?.includes('\ufffd') !== true) return text
  unreadable.push(field)
  return undefined
}

/**
 * The largest number of bytes of a person's name. SPIFFE IDs, the longest names that token servers put into `sub`, have up to
 * 2,048. An index entry of PostgreSQL has at most 2,704 bytes in total.
 */
export const LONGEST_NAME = 2_048

/** Names are stored in lower case, too, where some letters have more bytes. */
export const isTooLongName = (name: string): boolean =>
  Math.max(Buffer.byteLength(name), Buffer.byteLength(name.toLowerCase())) > LONGEST_NAME

import { isStorableText } from './storable-text.js'

/**
 * The fields without which an event still says what happened to which object, and when. One that cannot be read is unknown,
 * as if the registry had not sent it; the event counts, and the field is counted by its name (docs/operations.md).
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

/** Characters of a text, unless its field has a limit of its own. */
const LONGEST_TEXT = 1_024

/** Whether a value is text that can be stored, has at most `longest` characters, and is not empty. */
const isStorable = (value: unknown, longest: number): value is string =>
  typeof value === 'string' && value !== '' && value.length <= longest && isStorableText(value)

/** Text that can be stored; undefined for anything else. */
export const shortText = (value: unknown): string | undefined => (isStorable(value, LONGEST_TEXT) ? value : undefined)

/** Missing, null and "" are the same: distribution 3 sends "" for what distribution 2 leaves out. */
export const isMissing = (value: unknown): boolean => value === undefined || value === null || value === ''

/** Where the side fields of one event are noted that cannot be read. */
export type UnreadableFields = SideField[]

/** A side field that is free text; undefined when it is missing, or cannot be stored, which is noted. */
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
 * A side field whose text distinguishes things. U+FFFD stands for bytes that were lost: the names of two people may
 * differ in nothing else, so that a text with it is not known.
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

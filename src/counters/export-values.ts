import { z } from 'zod'
import { MICROS_PER_DAY, parseTimestamp, startOfDay, type Micros } from '../events/calendar.js'
import { isRepositoryPath } from '../events/reference.js'
import { isRegistryName } from '../events/registry-host.js'
import { isStorableText } from '../events/storable-text.js'
import { parseSketchKey } from './keys.js'

/**
 * PostgreSQL limits index entries to 2,704 bytes, and a name is in one index entry with an event of up to 128 bytes and a day. The longest
 * names that are stored have 2,048; earlier versions stored somewhat longer ones.
 */
export const LONGEST_NAME_BYTES = 2_500
/** Contributions of one first event. It has at most one for each rule that matches it. */
const MOST_CONTRIBUTIONS = 10_000
/** Seconds of 100 years, the longest lifetime that can be configured. */
const LONGEST_LIFETIME = 36_500 * 86_400

// PostgreSQL stores neither a NUL nor a lone surrogate, and would refuse them without naming the line.
const text = z
  .string()
  .refine((found) => Buffer.byteLength(found) <= LONGEST_NAME_BYTES, {
    message: `is longer than ${LONGEST_NAME_BYTES} bytes`,
    abort: true,
  })
  .refine(isStorableText, 'contains characters that are not text')
const is = (isValid: (found: string) => boolean, message: string): z.ZodType<string> =>
  text.refine((found) => isValid(found), { message, abort: true })

const sketchKey = is((found) => parseSketchKey(found) !== undefined, "is not one of Tallyman's")
const event = is((found) => /^[a-z][a-z0-9_]{0,127}$/.test(found), 'is not the name of an event')
/** An event, a skip with its reason, an unreadable field with its path, or a count of requests. */
const tallyName = is((found) => /^[a-z][\w.:]{0,254}$/.test(found), 'is not the name of a total')
const day = is((found) => isSince1970(startOfDay(found)), 'is not a day like 2026-11-21')
const timestamp = is(
  (found) => found.endsWith('Z') && isSince1970(parseTimestamp(found)),
  'is not a timestamp like 2026-11-21T12:00:00.000000Z',
)
const base64 = z.string().refine((found) => Buffer.from(found, 'base64').toString('base64') === found, 'is not base64')
const count = z
  .int(`is not a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`)
  .nonnegative(`is not a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`)
const seconds = z
  .int(`is not a whole number from 1 to ${LONGEST_LIFETIME}`)
  .min(1, `is not a whole number from 1 to ${LONGEST_LIFETIME}`)
  .max(LONGEST_LIFETIME, `is not a whole number from 1 to ${LONGEST_LIFETIME}`)
const contributions = z.array(z.object({ event, member: text })).max(MOST_CONTRIBUTIONS)

const isSince1970 = (at: Micros | undefined): boolean => (at ?? -1) >= 0

/** The schema of each kind of line, except the first and the last line, which are no counters. */
export const LINES = {
  sketch: z.object({ key: sketchKey, seconds, bytes: base64 }),
  tally: z.object({ name: tallyName, day, value: count }),
  repository: z.object({
    registry: is(isRegistryName, 'is not the name of a registry'),
    name: is(isRepositoryPath, 'is not the name of a repository'),
    first_at: timestamp,
    first_event: z.guid(),
    if_first: contributions,
    if_known: contributions,
  }),
  unresolved_user: z.object({ name: text, event: z.union([z.literal(''), event]), day }),
}

export type LineKind = keyof typeof LINES
export type LineValue<Kind extends LineKind> = z.infer<(typeof LINES)[Kind]>

type Line = { [kind in LineKind]: { kind: kind; value: LineValue<kind> } }[LineKind]

/** The field of a line that contains a time, and the first moment of that time. */
export const timeIn = (line: Line): { field: string; begin: Micros } => {
  if (line.kind === 'sketch') return { field: 'key', begin: parseSketchKey(line.value.key)?.start ?? NaN }
  if (line.kind === 'repository') return { field: 'first_at', begin: parseTimestamp(line.value.first_at) ?? NaN }
  return { field: 'day', begin: startOfDay(line.value.day) ?? NaN }
}

/** Events are counted up to a day ahead of the clock, and the clocks of two machines may differ. */
export const TOLERANCE = 2 * MICROS_PER_DAY

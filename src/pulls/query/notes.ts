import { dateOf, type Micros } from '../../events/calendar.js'
import type { Places } from '../../requesters/location/places.js'
import { periodOf, type Rotation } from '../../requesters/salts.js'
import { dimensionsOf, type PullsQuery } from './parameters.js'
import { measure } from '../model/measures.js'
import { localDay } from '../model/period.js'

/** The settings and data that numbers depend on, beside the requests. */
export type PullsContext = {
  rotation: Rotation
  stamps: Places['stamps']
  /** Minimum number of distinct origins behind each number; no minimum if undefined. */
  minimumGroupSize?: number
  /** How long requests may arrive late, in microseconds. */
  lateness?: Micros
  /** Whether provisional outcomes are left out, because a number that is reported once must not change. */
  isSettledOnly?: boolean
}

const LIVES: Record<Rotation, string> = {
  monthly: 'on the first of each month (UTC)',
  daily: 'each day (UTC)',
  never: '',
}

const READ =
  'The behaviour of an origin is read for each UTC day from its invocations in the seven days that end with it. Days that are not ' +
  'rolled up yet use the newest reading of the last seven rolled-up days; without one they are insufficient.'
const INFERRED =
  'The value of likely is inferred from the behaviour, never certain: pulls behaviour shows the evidence.'

/** Notes that a reader needs to defend the numbers of an answer. */
export const notesOn = (query: PullsQuery, { rotation, stamps }: PullsContext): string[] => {
  const { measures } = query
  const names = new Set<string>(dimensionsOf(query))
  const hasUniques = measures.some((name) => 'distinct' in measure(name))
  const notes = hasUniques ? newNames(query, rotation) : []
  if (names.has('country')) notes.push(lookedUp('countries', stamps.country))
  if (names.has('network') || names.has('network_kind')) notes.push(lookedUp('networks', stamps.network))
  if (names.has('behaviour') || names.has('likely')) notes.push(READ)
  if (names.has('likely')) notes.push(INFERRED)
  return notes
}

/** Addresses are not stored, so earlier look-ups keep the result of an earlier file. */
const lookedUp = (what: string, stamp: string | undefined): string =>
  stamp === undefined
    ? `No file of ${what} is loaded: only earlier requests have any.`
    : `Requests get their ${what} on arrival, currently from a file as of ${stamp}.`

/**
 * The note on uniques if origins get new names within a period. A month in Berlin begins 1 or 2 hours before the UTC month, and so
 * contains both names.
 */
const newNames = ({ period, timeZone }: Pick<PullsQuery, 'period' | 'timeZone'>, rotation: Rotation): string[] => {
  const { from, until } = periodOf(Date.parse(period.from) * 1_000, rotation)
  const isWithin = (change: Micros): boolean =>
    localDay(dateOf(change - 1), timeZone) >= period.from && localDay(dateOf(change), timeZone) < period.to
  return isWithin(from) || isWithin(until)
    ? [`Origins get new names ${LIVES[rotation]}: who pulled before and after counts twice among the uniques.`]
    : []
}

/** The note on a query by hour, or in another time zone, that begins when only UTC days are stored. */
export const daysOnly = (query: PullsQuery, since: string | undefined): string[] => {
  if (since === undefined) return []
  const isByHour = dimensionsOf(query).includes('hour')
  return [
    isByHour
      ? `Hours are known since ${since}: an earlier UTC day is shown completely at its first hour.`
      : `Days of ${query.timeZone} are known since ${since}: earlier days are UTC days.`,
  ]
}

import { dateOf, type Micros } from '../../events/calendar.js'
import type { Places } from '../../requesters/location/places.js'
import { periodOf, type Rotation } from '../../requesters/salts.js'
import { dimensionsOf, type PullsQuery } from './parameters.js'
import { measure } from '../model/measures.js'
import { localDay } from '../model/period.js'

/** What numbers depend on beside the requests. */
export type PullsContext = {
  rotation: Rotation
  stamps: Places['stamps']
  /** Of how many origins each number has to be; one where it is not said. */
  minimumGroupSize?: number
  /** How long requests may arrive late, in microseconds. */
  lateness?: Micros
  /** Whether provisional outcomes are left out: numbers that are reported once are not to change. */
  isSettledOnly?: boolean
}

const LIVES: Record<Rotation, string> = {
  monthly: 'on the first of each month (UTC)',
  daily: 'each day (UTC)',
  never: '',
}

const READ =
  'How an origin asks is read for each UTC day from its invocations in the seven days that end with it. Days that are not rolled up ' +
  'yet take the newest reading of the last seven that are, and are insufficient without one.'
const INFERRED = 'What is likely is inferred from that, never certain: pulls behaviour shows the evidence.'

/** What somebody has to know who defends the numbers of an answer. */
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

/** Addresses are not kept, so what was looked up by a file before stays as it was. */
const lookedUp = (what: string, stamp: string | undefined): string =>
  stamp === undefined
    ? `There is no file of ${what} now: only earlier requests have any.`
    : `Requests get their ${what} when they come, now by a file as of ${stamp}.`

/** What somebody has to know of uniques: a month of Berlin begins an hour before that of UTC, or two, and sees the names of both. */
const newNames = ({ period, timeZone }: Pick<PullsQuery, 'period' | 'timeZone'>, rotation: Rotation): string[] => {
  const { from, until } = periodOf(Date.parse(period.from) * 1_000, rotation)
  const isWithin = (change: Micros): boolean =>
    localDay(dateOf(change - 1), timeZone) >= period.from && localDay(dateOf(change), timeZone) < period.to
  return isWithin(from) || isWithin(until)
    ? [`Origins get new names ${LIVES[rotation]}: who pulled before and after counts twice among the uniques.`]
    : []
}

/** What somebody has to know who asks for hours, or days of a time zone, of times of which only days of UTC are kept. */
export const daysOnly = (query: PullsQuery, since: string | undefined): string[] => {
  if (since === undefined) return []
  const isByHour = dimensionsOf(query).includes('hour')
  return [
    isByHour
      ? `Hours are known since ${since}: of earlier days, all of a UTC day is in its first hour.`
      : `Days of ${query.timeZone} are known since ${since}: earlier days are days of UTC.`,
  ]
}

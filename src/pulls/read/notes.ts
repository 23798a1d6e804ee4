import type { Places } from '../place/places.js'
import { periodOf, type Rotation } from '../record/salts.js'
import { namesIn, type Asked } from './asked.js'
import { measure } from './measures.js'
import { localDay } from './period.js'

/** What numbers depend on beside the requests. */
export type Context = {
  rotation: Rotation
  stamps: Places['stamps']
  /** Of how many origins each number has to be; one where it is not said. */
  leastPullers?: number
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
export const notesOn = (asked: Asked, { rotation, stamps }: Context): string[] => {
  const { measures } = asked
  const names = new Set<string>(namesIn(asked))
  const hasUniques = measures.some((name) => 'distinct' in measure(name))
  const notes = []
  if (hasUniques && seesNewNames(asked, rotation)) {
    notes.push(`Origins get new names ${LIVES[rotation]}: who pulled before and after counts twice among the uniques.`)
  }
  if (names.has('country')) {
    notes.push(
      stamps.country === undefined ? 'There is no file of countries.' : `Countries are as of ${stamps.country}.`,
    )
  }
  if (names.has('network') || names.has('network_kind')) {
    notes.push(stamps.network === undefined ? 'There is no file of networks.' : `Networks are as of ${stamps.network}.`)
  }
  if (names.has('behaviour') || names.has('likely')) notes.push(READ)
  if (names.has('likely')) notes.push(INFERRED)
  return notes
}

/** Whether origins get new names within a period: a month of Berlin begins an hour before, or two, and sees those of two. */
export const seesNewNames = ({ period, timeZone }: Pick<Asked, 'period' | 'timeZone'>, rotation: Rotation): boolean => {
  const { from, until } = periodOf(Date.parse(period.from) * 1_000, rotation)
  return [from, until].some((change) => {
    const at = change / 1_000
    return localDay(new Date(at - 1), timeZone) >= period.from && localDay(new Date(at), timeZone) < period.to
  })
}

/** What somebody has to know who asks for hours, or days of a time zone, of times of which only days of UTC are kept. */
export const daysOnly = (asked: Asked, since: string | undefined): string[] => {
  if (since === undefined) return []
  const isByHour = namesIn(asked).includes('hour')
  return [
    isByHour
      ? `Hours are told since ${since}: before that, all of a UTC day is in its first hour.`
      : `Days of ${asked.timeZone} are told since ${since}: before that they are days of UTC.`,
  ]
}

import { sql, type RawBuilder } from 'kysely'
import { PullsError } from './parameters.js'
import type { Context } from './notes.js'

/** The setting that says of how many pullers a number has to be. */
type Limit = { leastPullers?: Context['leastPullers'] | undefined }
const SETTING = 'pulls_least_pullers'

/** Of how many origins numbers have to be; undefined where those of one may be told. */
export const leastOf = ({ leastPullers = 0 }: Limit): number | undefined =>
  leastPullers > 1 ? leastPullers : undefined

/** A time that may be that of a single request: by the hour if those of one origin may not be told. */
export const wholeHours = (limit: Limit, time: RawBuilder<unknown>): RawBuilder<unknown> =>
  leastOf(limit) === undefined ? time : sql`date_trunc('hour', ${time}, 'UTC')`

/** @throws PullsError where nothing is to be told of single origins. */
export const allowSingleOrigins = (limit: Limit): void => {
  const least = leastOf(limit)
  if (least !== undefined)
    throw new PullsError(
      `${SETTING} is ${least}, and this shows single origins; group_by=behaviour of GET /pulls shows many`,
    )
}

type Answer = {
  /** Whether groups were put together. */
  isMerged: boolean
  totals: readonly object[]
}

/** What somebody has to know of an answer that does not show all there is. */
export const tooFew = ({ leastPullers }: Limit, { isMerged, totals }: Answer): string[] => [
  ...(isMerged && totals.some((total) => Object.keys(total).length > 0)
    ? [`Groups of fewer than ${leastPullers} origins, checks counted, are together as other (${SETTING}).`]
    : []),
  ...(totals.some((total) => Object.keys(total).length === 0)
    ? [`What has no number is of fewer than ${leastPullers} origins, checks counted (${SETTING}).`]
    : []),
]

/** The same of an answer about single origins. */
export const noSingleOrigins = ({ leastPullers }: Limit): string =>
  `Single origins are not shown, nor what is left without fewer than ${leastPullers} (${SETTING}).`

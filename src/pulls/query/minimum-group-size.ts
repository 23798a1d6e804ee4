import { sql, type RawBuilder } from 'kysely'
import { PullsError } from './parameters.js'
import type { PullsContext } from './notes.js'

/** The setting that says of how many pullers a number has to be. */
type GroupSizeSetting = { minimumGroupSize?: PullsContext['minimumGroupSize'] | undefined }
const SETTING = 'pulls_least_pullers'

/** Of how many origins numbers have to be; undefined where those of one may be told. */
export const minimumOf = ({ minimumGroupSize = 0 }: GroupSizeSetting): number | undefined =>
  minimumGroupSize > 1 ? minimumGroupSize : undefined

/** A time that may be that of a single request: by the hour if those of one origin may not be told. */
export const wholeHours = (setting: GroupSizeSetting, time: RawBuilder<unknown>): RawBuilder<unknown> =>
  minimumOf(setting) === undefined ? time : sql`date_trunc('hour', ${time}, 'UTC')`

/** @throws PullsError where nothing is to be told of single origins. */
export const requireSingleOrigins = (setting: GroupSizeSetting): void => {
  const minimum = minimumOf(setting)
  if (minimum !== undefined)
    throw new PullsError(
      `${SETTING} is ${minimum}, and this shows single origins; group_by=behaviour of GET /pulls shows many`,
    )
}

type ShownGroups = {
  /** Whether groups were put together. */
  isMerged: boolean
  totals: readonly object[]
}

/** What somebody has to know of an answer that does not show all there is. */
export const groupSizeNotes = ({ minimumGroupSize }: GroupSizeSetting, { isMerged, totals }: ShownGroups): string[] => [
  ...(isMerged && totals.some((total) => Object.keys(total).length > 0)
    ? [`Groups of fewer than ${minimumGroupSize} origins, checks counted, are together as other (${SETTING}).`]
    : []),
  ...(totals.some((total) => Object.keys(total).length === 0)
    ? [`What has no number is of fewer than ${minimumGroupSize} origins, checks counted (${SETTING}).`]
    : []),
]

/** The same of an answer about single origins. */
export const singleOriginsNote = ({ minimumGroupSize }: GroupSizeSetting): string =>
  `Single origins are not shown, nor what is left without fewer than ${minimumGroupSize} (${SETTING}).`

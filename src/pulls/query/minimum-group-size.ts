import { sql, type RawBuilder } from 'kysely'
import { PullsError } from './parameters.js'
import type { PullsContext } from './notes.js'

/** The minimum number of distinct origins behind each number. */
type GroupSizeSetting = { minimumGroupSize?: PullsContext['minimumGroupSize'] | undefined }
const SETTING = 'pulls_least_pullers'

/** The minimum number of distinct origins behind a number; undefined if numbers of a single origin may be shown. */
export const minimumOf = ({ minimumGroupSize = 0 }: GroupSizeSetting): number | undefined =>
  minimumGroupSize > 1 ? minimumGroupSize : undefined

/** Truncates a time, which may belong to a single request, to the hour if a minimum is set. */
export const wholeHours = (setting: GroupSizeSetting, time: RawBuilder<unknown>): RawBuilder<unknown> =>
  minimumOf(setting) === undefined ? time : sql`date_trunc('hour', ${time}, 'UTC')`

/** @throws PullsError if single origins must not be shown */
export const requireSingleOrigins = (setting: GroupSizeSetting): void => {
  const minimum = minimumOf(setting)
  if (minimum !== undefined)
    throw new PullsError(
      `${SETTING} is ${minimum}, and this answer would show single origins; use group_by=behaviour of GET /pulls`,
    )
}

type ShownGroups = {
  /** Whether groups were merged. */
  isMerged: boolean
  totals: readonly object[]
}

/** Notes on an answer in which groups are merged, or numbers are left out, because they come from too few origins. */
export const groupSizeNotes = ({ minimumGroupSize }: GroupSizeSetting, { isMerged, totals }: ShownGroups): string[] => [
  ...(isMerged && totals.some((total) => Object.keys(total).length > 0)
    ? [
        `Groups of fewer than ${minimumGroupSize} origins, including origins that only check, are merged into other (${SETTING}).`,
      ]
    : []),
  ...(totals.some((total) => Object.keys(total).length === 0)
    ? [
        `Missing numbers come from fewer than ${minimumGroupSize} origins, including origins that only check (${SETTING}).`,
      ]
    : []),
]

/** The note on an answer that would otherwise show single origins. */
export const singleOriginsNote = ({ minimumGroupSize }: GroupSizeSetting): string =>
  `Single origins are not shown, nor numbers without a group of fewer than ${minimumGroupSize} origins (${SETTING}).`

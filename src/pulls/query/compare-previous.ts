import type { PullsQuery } from './parameters.js'
import { dimension } from '../model/dimensions.js'
import type { Group } from './read-groups.js'
import { OTHER } from './merge-small-groups.js'
import type { MeasureName } from '../model/measures.js'

/** The numbers of a group in the previous period. */
export type PreviousNumbers = Partial<Record<`previous_${MeasureName}`, number>>

/** Maximum number of groups of the previous period that are read. */
const MAX_GROUPS = 100_000

/** The numbers of the whole previous period, for the single row of an answer without groups. */
export const previousOfTotal = (previous: Group['numbers']): PreviousNumbers =>
  Object.fromEntries(Object.entries(previous).map(([name, number]) => [`previous_${name}`, number]))

/** Whether the groups of a query can exist in the previous period: groups by time cannot. */
export const isComparable = ({ compare, groupBy }: PullsQuery): boolean =>
  compare && !groupBy.some((name) => dimension(name).isTime)

/** Restricts a query to these groups. It may return more groups, because a value that ends in `*` is a prefix. */
export const onlyGroups = (query: PullsQuery, groups: readonly Group[]): PullsQuery => ({
  ...query,
  filters: [
    ...query.filters,
    ...query.groupBy.map((name) => ({
      dimension: name,
      values: [...new Set(groups.map(({ names }) => names[name] ?? ''))],
    })),
  ],
  limit: MAX_GROUPS,
})

/**
 * The previous numbers of each group. A group that is missing in the previous period has zeros. If not all previous groups are
 * shown, its numbers are unknown, and left out.
 * @param isAll whether all groups of the previous period are shown
 */
export const previousOfGroups = (
  { measures, groupBy }: Pick<PullsQuery, 'measures' | 'groupBy'>,
  previous: readonly Group[],
  isAll: boolean,
): ((names: Group['names']) => PreviousNumbers) => {
  const keyOf = (names: Group['names']): string => JSON.stringify(groupBy.map((name) => names[name]))
  const known = new Map(previous.map(({ names, numbers }) => [keyOf(names), numbers]))
  // The group `other` merges different groups in each period.
  const isOther = (names: Group['names']): boolean => !isAll && groupBy.every((name) => names[name] === OTHER)
  return (names) => {
    if (isOther(names)) return {}
    const numbers = known.get(keyOf(names))
    if (!numbers && (!isAll || previous.length > MAX_GROUPS)) return {}
    return Object.fromEntries(measures.map((name) => [`previous_${name}`, numbers?.[name] ?? 0]))
  }
}

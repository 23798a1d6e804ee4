import type { PullsQuery } from './parameters.js'
import { dimension } from '../model/dimensions.js'
import type { Group } from './read-groups.js'
import { OTHER } from './merge-small-groups.js'
import type { MeasureName } from '../model/measures.js'

/** What a group had in the period before, beside what it has now. */
export type PreviousNumbers = Partial<Record<`previous_${MeasureName}`, number>>

/** Groups of the period before that are looked through. */
const MOST_GROUPS = 100_000

/** The numbers of the period before beside those of the whole period: an answer without groups has one row. */
export const previousOfTotal = (previous: Group['numbers']): PreviousNumbers =>
  Object.fromEntries(Object.entries(previous).map(([name, number]) => [`previous_${name}`, number]))

/** Whether the groups of a question can be found in the period before: times cannot. */
export const isComparable = ({ compare, groupBy }: PullsQuery): boolean =>
  compare && !groupBy.some((name) => dimension(name).isTime)

/** Asks for these groups alone, and perhaps for more. A value that ends in `*` asks for all that begin so. */
export const onlyGroups = (query: PullsQuery, groups: readonly Group[]): PullsQuery => ({
  ...query,
  filters: [
    ...query.filters,
    ...query.groupBy.map((name) => ({
      dimension: name,
      values: [...new Set(groups.map(({ names }) => names[name] ?? ''))],
    })),
  ],
  limit: MOST_GROUPS,
})

/**
 * What each group had before. One that was not there had nothing, unless some were not told: then nobody knows.
 * @param isAll whether all groups of before are told.
 */
export const previousOfGroups = (
  { measures, groupBy }: Pick<PullsQuery, 'measures' | 'groupBy'>,
  previous: readonly Group[],
  isAll: boolean,
): ((names: Group['names']) => PreviousNumbers) => {
  const keyOf = (names: Group['names']): string => JSON.stringify(groupBy.map((name) => names[name]))
  const known = new Map(previous.map(({ names, numbers }) => [keyOf(names), numbers]))
  // What is together now is not what was together then.
  const isTogether = (names: Group['names']): boolean => !isAll && groupBy.every((name) => names[name] === OTHER)
  return (names) => {
    if (isTogether(names)) return {}
    const numbers = known.get(keyOf(names))
    if (!numbers && (!isAll || previous.length > MOST_GROUPS)) return {}
    return Object.fromEntries(measures.map((name) => [`previous_${name}`, numbers?.[name] ?? 0]))
  }
}

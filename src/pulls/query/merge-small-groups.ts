import { sql } from 'kysely'
import { batchesOf } from '../../storage/sql/cursor.js'
import type { Sql } from '../../storage/sql/database.js'
import { createPause } from '../../runtime/yield.js'
import { PullsError, type PullsQuery } from './parameters.js'
import { dimension } from '../model/dimensions.js'
import type { RangePlan } from './plan-ranges.js'
import {
  addPart,
  emptyPart,
  groupsStatement,
  numbersOf,
  partIn,
  type GroupQuery,
  type GroupPart,
} from './groups-statement.js'
import type { Group } from './read-groups.js'
import { measure, type MeasureName } from '../model/measures.js'

/** The name of the group that merges groups which are too small to be shown alone. */
export const OTHER = 'other'
/** The measure that has to reach the minimum. It includes origins that only check. */
const SIZE_MEASURE = 'unique_sources'
const ROWS_AT_ONCE = 500
/** All groups are in memory until the smallest ones are known. */
const MAX_GROUPS = 100_000

export type MergedGroups = {
  groups: Group[]
  /** The numbers of all groups together; empty if even these come from too few origins. */
  together: Group['numbers']
  /** Whether any groups were merged. */
  isMerged: boolean
}

/**
 * Reads the groups of an answer, each with at least a minimum of origins. The smaller groups of one time are merged into `other`. If
 * `other` is still too small, the smallest large group of that time joins it. A time that is too small as a whole is merged with all
 * such times into `other`. The sum over the groups does not change.
 */
export const readMergedGroups = async (
  tx: Sql,
  plans: readonly RangePlan[],
  groupQuery: GroupQuery,
  minimum: number,
): Promise<MergedGroups> => {
  const { measures, groupBy } = groupQuery.query
  const query: PullsQuery = {
    ...groupQuery.query,
    measures: [...new Set<MeasureName>([...measures, SIZE_MEASURE, 'invocations'])],
  }
  const merge = createMerge(query, minimum)
  const all = emptyPart()
  const order = groupBy.flatMap((name, i) => (dimension(name).isTime ? [sql.lit(i + 1)] : []))
  const pause = createPause()
  for await (const rows of batchesOf(tx, groupsStatement(plans, { ...groupQuery, query }, { order }), ROWS_AT_ONCE)) {
    for (const row of rows) {
      const part = partIn(row, query)
      addPart(all, part)
      merge.add(part)
      await pause()
    }
  }
  const { shown, isMerged } = merge.end()
  const groups = shown.sort(inOrderOf(groupQuery.query)).map(({ names, numbers }) => ({
    names,
    numbers: Object.fromEntries(measures.map((name) => [name, numbers[name] ?? 0])),
  }))
  return { groups, together: pullersOf(all) < minimum ? {} : numbersOf(all, measures), isMerged }
}

const pullersOf = ({ unions }: GroupPart): number => unions[SIZE_MEASURE]?.count() ?? 0

type Merge = { add: (part: GroupPart) => void; end: () => { shown: Group[]; isMerged: boolean } }

/** Takes parts sorted by time. Of the shown groups, only the smallest one keeps its sketches, because it may be merged later. */
const createMerge = ({ groupBy, measures }: PullsQuery, minimum: number): Merge => {
  const others = groupBy.filter((name) => !dimension(name).isTime)
  const shown: Group[] = []
  let isMerged = false
  let time = ''
  /** Of the current time: the merged small groups, and the smallest large group. */
  let few: GroupPart | undefined
  let smallest: GroupPart | undefined
  /** The merged times that are too small, and the smallest of all shown groups. */
  let rest: GroupPart | undefined
  let smallestShown: GroupPart | undefined

  const show = (part: GroupPart): void => {
    if (shown.length >= MAX_GROUPS)
      throw new PullsError(
        `group_by: expected at most ${MAX_GROUPS} groups, because pulls_least_pullers is set; choose a shorter period`,
      )
    shown.push({ names: part.names, numbers: numbersOf(part, measures) })
  }
  const smallerOf = (one: GroupPart | undefined, other: GroupPart, over: (larger: GroupPart) => void): GroupPart => {
    if (!one) return other
    const [smaller, larger] = pullersOf(other) < pullersOf(one) ? [other, one] : [one, other]
    over(larger)
    return smaller
  }
  const addLarge = (part: GroupPart): void => {
    smallestShown = smallerOf(smallestShown, part, show)
  }
  const closeTime = (): void => {
    if (few && smallest && pullersOf(few) < minimum) {
      addPart(few, smallest)
      smallest = undefined
    }
    if (few && pullersOf(few) >= minimum) addLarge(few)
    else if (few) addPart((rest ??= { ...emptyPart(), names: named(groupBy) }), few)
    if (smallest) addLarge(smallest)
    few = undefined
    smallest = undefined
  }
  const named = (names: PullsQuery['groupBy']): GroupPart['names'] =>
    Object.fromEntries(names.map((name) => [name, OTHER]))
  return {
    add: (part) => {
      const its = groupBy.flatMap((name) => (dimension(name).isTime ? [part.names[name]] : [])).join()
      if (its !== time) closeTime()
      time = its
      // A real value named `other` joins the merged group: two groups must not have one name.
      const isOther = others.length > 0 && others.every((name) => part.names[name] === OTHER)
      if (!isOther && pullersOf(part) >= minimum) {
        smallest = smallerOf(smallest, part, addLarge)
        return
      }
      isMerged = true
      addPart((few ??= { ...emptyPart(), names: { ...part.names, ...named(others) } }), part)
    },
    end: () => {
      closeTime()
      if (rest && smallestShown && pullersOf(rest) < minimum) {
        addPart(rest, smallestShown)
        smallestShown = undefined
      }
      if (rest && pullersOf(rest) >= minimum) show(rest)
      if (smallestShown) show(smallestShown)
      return { shown, isMerged }
    },
  }
}

/** Sorts by time, or else the largest group first. Among equals, the merged group is last. */
const inOrderOf = ({ groupBy, measures: [first] }: PullsQuery): ((a: Group, b: Group) => number) => {
  const isTime = groupBy.some((name) => dimension(name).isTime)
  const by: MeasureName = first === undefined || 'distinct' in measure(first) ? 'invocations' : first
  return (a, b) => {
    const most = isTime ? 0 : (b.numbers[by] ?? 0) - (a.numbers[by] ?? 0)
    if (most !== 0) return most
    for (const name of groupBy) {
      const [one = '', other = ''] = [a.names[name], b.names[name]]
      if (one !== other) return other === OTHER || (one !== OTHER && one < other) ? -1 : 1
    }
    return 0
  }
}

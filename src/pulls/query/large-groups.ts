import { sql } from 'kysely'
import { batchesOf } from '../../storage/sql/cursor.js'
import type { Sql } from '../../storage/sql/database.js'
import { createPause } from '../../runtime/yield.js'
import { PullsError, type Asked } from './parameters.js'
import { dimension } from '../model/dimensions.js'
import type { Extent } from './time-ranges.js'
import { addPart, emptyPart, groupRows, numbersOf, partIn, type GroupQuestion, type Part } from './group-rows.js'
import type { Group } from './groups.js'
import { measure, type MeasureName } from '../model/measures.js'

/** What groups are called that are too small to be shown alone. */
export const OTHER = 'other'
/** By whom a group is large enough: checks count, too. */
const WHO = 'unique_sources'
const ROWS_AT_ONCE = 500
/** All groups are held until the smallest are known. */
const MOST_GROUPS = 100_000

export type LargeGroups = {
  groups: Group[]
  /** Of all; without any number where all are too few. */
  together: Group['numbers']
  /** Whether some were put together. */
  isMerged: boolean
}

/**
 * The groups of an answer of which each has so many origins. Smaller ones of one time become `other`, with the smallest of the
 * large ones where they are still too small. Where a whole time is too small, it becomes `other` as well, together with all such times. The
 * sum over the groups stays what it was.
 */
export const largeGroupsOf = async (
  tx: Sql,
  extents: readonly Extent[],
  question: GroupQuestion,
  least: number,
): Promise<LargeGroups> => {
  const { measures, groupBy } = question.asked
  const asked: Asked = { ...question.asked, measures: [...new Set<MeasureName>([...measures, WHO, 'invocations'])] }
  const merge = createMerge(asked, least)
  const all = emptyPart()
  const order = groupBy.flatMap((name, i) => (dimension(name).isTime ? [sql.lit(i + 1)] : []))
  const pause = createPause()
  for await (const rows of batchesOf(tx, groupRows(extents, { ...question, asked }, { order }), ROWS_AT_ONCE)) {
    for (const row of rows) {
      const part = partIn(row, asked)
      addPart(all, part)
      merge.add(part)
      await pause()
    }
  }
  const { shown, isMerged } = merge.end()
  const groups = shown.sort(inOrderOf(question.asked)).map(({ names, numbers }) => ({
    names,
    numbers: Object.fromEntries(measures.map((name) => [name, numbers[name] ?? 0])),
  }))
  return { groups, together: pullersOf(all) < least ? {} : numbersOf(all, measures), isMerged }
}

const pullersOf = ({ unions }: Part): number => unions[WHO]?.count() ?? 0

type Merge = { add: (part: Part) => void; end: () => { shown: Group[]; isMerged: boolean } }

/** Takes parts time after time. Of those that are shown only the smallest keeps its sketches: it may be needed yet. */
const createMerge = ({ groupBy, measures }: Asked, least: number): Merge => {
  const others = groupBy.filter((name) => !dimension(name).isTime)
  const shown: Group[] = []
  let isMerged = false
  let time = ''
  /** Of this time: all that are too small, and the smallest that is not. */
  let few: Part | undefined
  let smallest: Part | undefined
  /** Times that are too small, and of all that are shown the smallest. */
  let rest: Part | undefined
  let smallestShown: Part | undefined

  const show = (part: Part): void => {
    if (shown.length >= MOST_GROUPS)
      throw new PullsError(
        `group_by: expected at most ${MOST_GROUPS} groups, as pulls_least_pullers is set; ask for a shorter period`,
      )
    shown.push({ names: part.names, numbers: numbersOf(part, measures) })
  }
  const smallerOf = (one: Part | undefined, other: Part, over: (larger: Part) => void): Part => {
    if (!one) return other
    const [smaller, larger] = pullersOf(other) < pullersOf(one) ? [other, one] : [one, other]
    over(larger)
    return smaller
  }
  const keep = (part: Part): void => {
    smallestShown = smallerOf(smallestShown, part, show)
  }
  const endTime = (): void => {
    if (few && smallest && pullersOf(few) < least) {
      addPart(few, smallest)
      smallest = undefined
    }
    if (few && pullersOf(few) >= least) keep(few)
    else if (few) addPart((rest ??= { ...emptyPart(), names: named(groupBy) }), few)
    if (smallest) keep(smallest)
    few = undefined
    smallest = undefined
  }
  const named = (names: Asked['groupBy']): Part['names'] => Object.fromEntries(names.map((name) => [name, OTHER]))
  return {
    add: (part) => {
      const its = groupBy.flatMap((name) => (dimension(name).isTime ? [part.names[name]] : [])).join()
      if (its !== time) endTime()
      time = its
      // What is really called so is not to stand beside it.
      const isOther = others.length > 0 && others.every((name) => part.names[name] === OTHER)
      if (!isOther && pullersOf(part) >= least) {
        smallest = smallerOf(smallest, part, keep)
        return
      }
      isMerged = true
      addPart((few ??= { ...emptyPart(), names: { ...part.names, ...named(others) } }), part)
    },
    end: () => {
      endTime()
      if (rest && smallestShown && pullersOf(rest) < least) {
        addPart(rest, smallestShown)
        smallestShown = undefined
      }
      if (rest && pullersOf(rest) >= least) show(rest)
      if (smallestShown) show(smallestShown)
      return { shown, isMerged }
    },
  }
}

/** Times in their order, all else with the largest first; what was put together stands last among its like. */
const inOrderOf = ({ groupBy, measures: [first] }: Asked): ((a: Group, b: Group) => number) => {
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

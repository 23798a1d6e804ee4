import type { Sql } from '../../storage/sql/database.js'
import { createPause } from '../../runtime/yield.js'
import { dimension, type DimensionName } from '../model/dimensions.js'
import type { RangePlan } from './plan-ranges.js'
import { addPart, emptyPart, groupRows, mostOf, numbersOf, partIn, ordinalsOf, type GroupQuery } from './group-rows.js'
import type { MeasureName } from '../model/measures.js'

/** What has the same names, and its numbers. */
export type Group = {
  names: Partial<Record<DimensionName, string>>
  numbers: Partial<Record<MeasureName, number>>
}

/**
 * The groups of an answer, one more of them than are wanted where there are more, and the numbers of all these together.
 */
export const readGroups = async (
  db: Sql,
  plans: readonly RangePlan[],
  groupQuery: GroupQuery,
): Promise<{ groups: Group[]; together: Group['numbers'] }> => {
  const { query } = groupQuery
  const { measures, groupBy, limit } = query
  const isTime = groupBy.some((name) => dimension(name).isTime)
  const order = isTime ? ordinalsOf(groupBy) : [mostOf(measures), ...ordinalsOf(groupBy)]
  const { rows } = await groupRows(plans, groupQuery, { order, limit: limit + 1 }).execute(db)
  const all = emptyPart()
  const groups: Group[] = []
  const pause = createPause()
  for (const row of rows) {
    const part = partIn(row, query)
    groups.push({ names: part.names, numbers: numbersOf(part, measures) })
    addPart(all, part)
    await pause()
  }
  return { groups, together: numbersOf(all, measures) }
}

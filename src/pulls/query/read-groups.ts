import type { Sql } from '../../storage/sql/database.js'
import { createPause } from '../../runtime/yield.js'
import { dimension, type DimensionName } from '../model/dimensions.js'
import type { RangePlan } from './plan-ranges.js'
import {
  addPart,
  emptyPart,
  groupsStatement,
  mostOf,
  numbersOf,
  partIn,
  ordinalsOf,
  type GroupQuery,
} from './groups-statement.js'
import type { MeasureName } from '../model/measures.js'

/** A group of an answer: its dimension values and its numbers. */
export type Group = {
  names: Partial<Record<DimensionName, string>>
  numbers: Partial<Record<MeasureName, number>>
}

/** Reads the groups of an answer, at most `limit` and one more, and the sum over the groups that were read. */
export const readGroups = async (
  db: Sql,
  plans: readonly RangePlan[],
  groupQuery: GroupQuery,
): Promise<{ groups: Group[]; together: Group['numbers'] }> => {
  const { query } = groupQuery
  const { measures, groupBy, limit } = query
  const isTime = groupBy.some((name) => dimension(name).isTime)
  const order = isTime ? ordinalsOf(groupBy) : [mostOf(measures), ...ordinalsOf(groupBy)]
  const { rows } = await groupsStatement(plans, groupQuery, { order, limit: limit + 1 }).execute(db)
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

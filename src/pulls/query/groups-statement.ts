import { sql, type RawBuilder } from 'kysely'
import { Union } from '../../storage/sketches/hyperloglog/union.js'
import type { PullsQuery } from './parameters.js'
import type { CountedNumber, CountedSketch } from '../model/counted.js'
import type { DimensionName } from '../model/dimensions.js'
import type { RangePlan } from './plan-ranges.js'
import { measure, type MeasureName } from '../model/measures.js'
import { unionOfTables, type RowColumns, type RowsQuery } from './union-of-tables.js'

/** A query for groups. Its columns follow from the measures and dimensions of the query. */
export type GroupQuery = Omit<RowsQuery, 'columns'>

/** A group, or a part of one, with the sums and sketches from which its measures are computed. */
export type GroupPart = {
  names: Partial<Record<DimensionName, string>>
  sums: Partial<Record<MeasureName, number>>
  unions: Partial<Record<MeasureName, Union>>
}

type Order = { order: readonly RawBuilder<unknown>[]; limit?: number }

/** The statement that returns one row for each group. */
export const groupsStatement = (
  plans: readonly RangePlan[],
  groupQuery: GroupQuery,
  { order, limit }: Order,
): RawBuilder<Record<string, unknown>> => {
  const { measures, groupBy } = groupQuery.query
  const columns = columnsFor(groupQuery.query)
  const grouped = sql`
    group by ${sql.join(ordinalsOf(groupBy))}
    ${order.length === 0 ? sql`` : sql`order by ${sql.join(order)}`}
    ${limit === undefined ? sql`` : sql`limit ${limit}`}`
  return sql`
    select ${sql.join([...groupBy.map((name) => sql.ref(`o.${name}`)), ...measures.flatMap((name) => readFor(name))])}
    from ${unionOfTables(plans, { ...groupQuery, columns })} o
    ${groupBy.length === 0 ? sql`` : grouped}
  `
}

/** The ordinals of the group columns, for `group by` and `order by`. */
export const ordinalsOf = (groupBy: PullsQuery['groupBy']): RawBuilder<unknown>[] =>
  groupBy.map((_, i) => sql.lit(i + 1))

const columnsFor = ({ measures, groupBy }: PullsQuery): RowColumns => {
  const numbers = new Set<CountedNumber>(['invocations'])
  const sketches = new Set<CountedSketch>()
  for (const made of measures.map(measure)) {
    if ('distinct' in made) sketches.add(made.distinct)
    else for (const one of [...made.add, ...(made.subtract ?? [])]) numbers.add(one)
  }
  return { groups: groupBy, numbers: [...numbers], sketches: [...sketches] }
}

const SKETCHES = '_sketches'

/** All sketches are one value, each after its length: the driver would parse an array of them character by character. */
const readFor = (name: MeasureName): RawBuilder<unknown>[] => {
  const made = measure(name)
  if (!('distinct' in made)) return [sql`${sumOf(made)} as ${sql.ref(name)}`]
  const member = sql.ref(`o.${made.distinct}_member`)
  const sketch = sql.ref(`o.${made.distinct}_sketch`)
  return [
    sql`array_agg(distinct ${member}) filter (where ${member} is not null) as ${sql.ref(name)}`,
    sql`string_agg(int4send(length(${sketch})) || ${sketch}, ''::bytea) as ${sql.ref(name + SKETCHES)}`,
  ]
}

const sumOf = ({ add, subtract = [] }: { add: readonly string[]; subtract?: readonly string[] }): RawBuilder<unknown> =>
  sql.raw(`coalesce(sum(${[...add.map((one) => `+ o.${one}`), ...subtract.map((one) => `- o.${one}`)].join(' ')}), 0)`)

/** Sorts by the first measure, the largest first. If that measure is not a sum, sorts by the number of invocations. */
export const mostOf = ([first]: readonly MeasureName[]): RawBuilder<unknown> => {
  const made = first && measure(first)
  return !made || 'distinct' in made ? sql`sum(o.invocations) desc` : sql`${sumOf(made)} desc`
}

/** Reads a row of `groupsStatement`. */
export const partIn = (row: Record<string, unknown>, { measures, groupBy }: PullsQuery): GroupPart => {
  const part: GroupPart = {
    names: Object.fromEntries(groupBy.map((one) => [one, String(row[one])])),
    sums: {},
    unions: {},
  }
  for (const name of measures) {
    if ('distinct' in measure(name)) part.unions[name] = unionOf(row[name], row[name + SKETCHES])
    else part.sums[name] = Number(row[name])
  }
  return part
}

export const emptyPart = (): GroupPart => ({ names: {}, sums: {}, unions: {} })

/** Adds the numbers of one part to another; the names stay. */
export const addPart = (to: GroupPart, { sums, unions }: GroupPart): void => {
  for (const name of Object.keys(sums) as MeasureName[]) to.sums[name] = (to.sums[name] ?? 0) + (sums[name] ?? 0)
  for (const name of Object.keys(unions) as MeasureName[]) {
    const union = unions[name]
    if (union) (to.unions[name] ??= new Union()).merge(union)
  }
}

export const numbersOf = (part: GroupPart, measures: readonly MeasureName[]): Partial<Record<MeasureName, number>> =>
  Object.fromEntries(measures.map((name) => [name, part.sums[name] ?? part.unions[name]?.count() ?? 0]))

/** Distinct members are estimated by their sketch, so that a number stays the same when the members are deleted. */
const unionOf = (members: unknown, sketches: unknown): Union => {
  const union = new Union()
  for (const member of (members ?? []) as string[]) union.add(member)
  const bytes = (sketches ?? Buffer.alloc(0)) as Buffer
  for (let at = 0; at < bytes.length;) {
    const end = at + 4 + bytes.readUInt32BE(at)
    union.take(bytes.subarray(at + 4, end))
    at = end
  }
  return union
}

import { sql, type RawBuilder } from 'kysely'
import type { PullsQuery } from './parameters.js'
import { MEMBERS, NUMBERS, type CountedNumber, type CountedSketch } from '../model/counted.js'
import { dimension, type ALL, type DimensionName } from '../model/dimensions.js'
import type { RangePlan, DayRange } from './plan-ranges.js'
import { conditionsOn, momentsOf, type RowExpressions } from './filters.js'
import { outcomesTable, outcomeExpressions } from './outcomes-table.js'
import type { Period } from '../model/period.js'

/** The columns of each row: its groups, its numbers, and its sketches or members. No other column is read. */
export type RowColumns = { groups: readonly DimensionName[]; numbers: CountedNumber[]; sketches: CountedSketch[] }

export type RowsQuery = {
  query: PullsQuery
  /** The table of outcomes, with the columns of pulls.outcomes. */
  outcomes: RawBuilder<unknown>
  period: Period
  columns: RowColumns
  /** The dimension of summaries that answers the query; undefined if none does. */
  summary: DimensionName | typeof ALL | undefined
}

/** A table with pulls, for the alias `o`, and the SQL expressions for its columns. */
type Source = RowExpressions & {
  table: RawBuilder<unknown>
  number: (name: CountedNumber) => string
  member: (name: CountedSketch) => string
  sketch: (name: CountedSketch) => string
}

/** A table of the rows of all planned ranges, with the columns of the query. Each pull is in exactly one row. */
export const unionOfTables = (plans: readonly RangePlan[], rowsQuery: RowsQuery): RawBuilder<unknown> => {
  const { query, period, summary } = rowsQuery
  const { from, to } = momentsOf(period, query.timeZone)
  const single = outcomesSource(query, rowsQuery.outcomes)
  const days = daysOf('pulls.days', 'day', (name) => dimension(name).value(sql`o.day::timestamp`))
  const summaries = daysOf('pulls.summaries', 'start', (name) => summaryValue(name))
  const ofGrain = (grain: string, { from: first, to: end }: DayRange): RawBuilder<unknown>[] => [
    sql`o.dimension = ${summary} and o.grain = ${grain} and o.start >= ${first}::date and o.start < ${end}::date`,
  ]
  const selects = [
    ...groupByRange(plans, (plan) => plan.monthSummaries).map(([where, range]) =>
      selectFrom(summaries, rowsQuery, [where, ...ofGrain('month', range)]),
    ),
    ...groupByRange(plans, (plan) => plan.daySummaries).map(([where, range]) =>
      selectFrom(summaries, rowsQuery, [where, ...ofGrain('day', range)]),
    ),
    ...groupByRange(plans, (plan) => plan.rolledUpDays).map(([where, range]) =>
      selectFrom(days, rowsQuery, [where, sql`o.day >= ${range.from}::date and o.day < ${range.to}::date`]),
    ),
    ...groupByRange(plans, (plan) => [plan.outcomesFrom]).map(([where, first]) => {
      const begin = first === undefined ? from : sql`greatest(${from}, ${first}::timestamp at time zone 'UTC')`
      return selectFrom(single, rowsQuery, [where, sql`o.at >= ${begin} and o.at < ${to}`])
    }),
  ]
  const all = selects.length > 0 ? selects : [selectFrom(single, rowsQuery, [sql`false`])]
  return sql`(${sql.join(all, sql` union all `)})`
}

/** Groups registries with equal ranges, so that one statement reads them together. */
const groupByRange = <T>(
  plans: readonly RangePlan[],
  read: (plan: RangePlan) => T[],
): (readonly [registries: RawBuilder<unknown>, one: T])[] => {
  const together = new Map<string, { registries: string[]; all: T[] }>()
  for (const plan of plans) {
    const all = read(plan)
    const key = JSON.stringify(all)
    const known = together.get(key)
    if (known) known.registries.push(plan.registry)
    else together.set(key, { registries: [plan.registry], all })
  }
  return [...together.values()].flatMap(({ registries, all }) =>
    all.map((one) => [sql`o.registry = any(${registries}::text[])`, one] as const),
  )
}

const outcomesSource = (query: PullsQuery, outcomes: RawBuilder<unknown>): Source => ({
  ...outcomeExpressions(query),
  table: outcomesTable(query, outcomes),
  number: (name) => NUMBERS[name],
  member: (name) => MEMBERS[name],
  sketch: () => 'null::bytea',
})

/** A row of a UTC day counts for the local day of the same date, in every time zone. */
const daysOf = (table: string, day: 'day' | 'start', value: RowExpressions['value']): Source => ({
  table: sql.table(table),
  local: sql`${sql.ref(`o.${day}`)}::timestamp`,
  value,
  number: (name) => `o.${name}`,
  member: () => 'null::text',
  sketch: (name) => `o.${name}`,
})

const summaryValue = (name: DimensionName): RawBuilder<unknown> => {
  if (dimension(name).isTime) return dimension(name).value(sql`o.start::timestamp`)
  return name === 'registry' ? sql`o.registry` : sql`o.value`
}

const selectFrom = (
  source: Source,
  { query, period, columns: { groups, numbers, sketches } }: RowsQuery,
  where: RawBuilder<unknown>[],
): RawBuilder<unknown> => {
  const columns = [
    ...groups.map((name) => sql`${source.value(name)} as ${sql.ref(name)}`),
    ...numbers.map((name) => sql.raw(`${source.number(name)} as ${name}`)),
    ...sketches.map((name) =>
      sql.raw(`${source.member(name)} as ${name}_member, ${source.sketch(name)} as ${name}_sketch`),
    ),
  ]
  const conditions = [...where, ...conditionsOn(source, query, period)]
  return sql`select ${sql.join(columns)} from ${source.table} o where ${sql.join(conditions, sql` and `)}`
}

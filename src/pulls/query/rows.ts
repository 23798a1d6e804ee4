import { sql, type RawBuilder } from 'kysely'
import type { Asked } from './parameters.js'
import { MEMBERS, NUMBERS, type CountedNumber, type CountedSketch } from '../model/counted.js'
import { dimension, type ALL, type DimensionName } from '../model/dimensions.js'
import type { Extent, Range } from './time-ranges.js'
import { conditionsOn, momentsOf, type Told } from './filters.js'
import { outcomesFor, toldByOutcomes } from './outcomes.js'
import type { Period } from '../model/period.js'

/** What is wanted of each row: its groups, its numbers, and who is told apart in it. Nothing else is read. */
export type Columns = { groups: readonly DimensionName[]; numbers: CountedNumber[]; sketches: CountedSketch[] }

export type Question = {
  asked: Asked
  /** The table of outcomes, with the columns of pulls.outcomes. */
  outcomes: RawBuilder<unknown>
  period: Period
  columns: Columns
  /** The dimension of summaries that answers it, where one does. */
  summary: DimensionName | typeof ALL | undefined
}

/** One of the tables that tell of pulls, as `o`. */
type Source = Told & {
  table: RawBuilder<unknown>
  number: (name: CountedNumber) => string
  member: (name: CountedSketch) => string
  sketch: (name: CountedSketch) => string
}

/** Of all extents the rows that a question wants, each told once, as a table with the columns it wants. */
export const rowsIn = (extents: readonly Extent[], question: Question): RawBuilder<unknown> => {
  const { asked, period, summary } = question
  const { from, to } = momentsOf(period, asked.timeZone)
  const single = outcomesSource(asked, question.outcomes)
  const days = daysOf('pulls.days', 'day', (name) => dimension(name).value(sql`o.day::timestamp`))
  const summaries = daysOf('pulls.summaries', 'start', (name) => summaryValue(name))
  const ofGrain = (grain: string, { from: first, to: end }: Range): RawBuilder<unknown>[] => [
    sql`o.dimension = ${summary} and o.grain = ${grain} and o.start >= ${first}::date and o.start < ${end}::date`,
  ]
  const selects = [
    ...each(extents, ({ months }) => months).map(([where, range]) =>
      selectFrom(summaries, question, [where, ...ofGrain('month', range)]),
    ),
    ...each(extents, (extent) => extent.days).map(([where, range]) =>
      selectFrom(summaries, question, [where, ...ofGrain('day', range)]),
    ),
    ...each(extents, ({ detail }) => detail).map(([where, range]) =>
      selectFrom(days, question, [where, sql`o.day >= ${range.from}::date and o.day < ${range.to}::date`]),
    ),
    ...each(extents, (extent) => [extent.outcomes]).map(([where, first]) => {
      const begin = first === undefined ? from : sql`greatest(${from}, ${first}::timestamp at time zone 'UTC')`
      return selectFrom(single, question, [where, sql`o.at >= ${begin} and o.at < ${to}`])
    }),
  ]
  const all = selects.length > 0 ? selects : [selectFrom(single, question, [sql`false`])]
  return sql`(${sql.join(all, sql` union all `)})`
}

/** Registries that have the same in one place are read together. */
const each = <T>(
  extents: readonly Extent[],
  read: (extent: Extent) => T[],
): (readonly [registries: RawBuilder<unknown>, one: T])[] => {
  const together = new Map<string, { registries: string[]; all: T[] }>()
  for (const extent of extents) {
    const all = read(extent)
    const key = JSON.stringify(all)
    const known = together.get(key)
    if (known) known.registries.push(extent.registry)
    else together.set(key, { registries: [extent.registry], all })
  }
  return [...together.values()].flatMap(({ registries, all }) =>
    all.map((one) => [sql`o.registry = any(${registries}::text[])`, one] as const),
  )
}

const outcomesSource = (asked: Asked, outcomes: RawBuilder<unknown>): Source => ({
  ...toldByOutcomes(asked),
  table: outcomesFor(asked, outcomes),
  number: (name) => NUMBERS[name],
  member: (name) => MEMBERS[name],
  sketch: () => 'null::bytea',
})

/** A day of UTC stands for that day, whatever the time zone. */
const daysOf = (table: string, day: 'day' | 'start', value: Told['value']): Source => ({
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
  { asked, period, columns: { groups, numbers, sketches } }: Question,
  where: RawBuilder<unknown>[],
): RawBuilder<unknown> => {
  const columns = [
    ...groups.map((name) => sql`${source.value(name)} as ${sql.ref(name)}`),
    ...numbers.map((name) => sql.raw(`${source.number(name)} as ${name}`)),
    ...sketches.map((name) =>
      sql.raw(`${source.member(name)} as ${name}_member, ${source.sketch(name)} as ${name}_sketch`),
    ),
  ]
  const conditions = [...where, ...conditionsOn(source, asked, period)]
  return sql`select ${sql.join(columns)} from ${source.table} o where ${sql.join(conditions, sql` and `)}`
}

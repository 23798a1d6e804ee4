import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/database.js'
import { Union } from '../../storage/hyperloglog/union.js'
import { createPause } from '../turns.js'
import type { Asked } from './asked.js'
import type { CountedNumber, CountedSketch } from './counted.js'
import { dimension, type DimensionName } from './dimensions.js'
import type { Extent } from './extents.js'
import { measure, type MeasureName } from './measures.js'
import { rowsIn, type Columns, type Question } from './sources.js'

/** What has the same names, and its numbers. */
export type Group = {
  names: Partial<Record<DimensionName, string>>
  numbers: Partial<Record<MeasureName, number>>
}

/**
 * The groups of an answer, one more of them than are wanted where there are more, and the numbers of all these together.
 */
export const groupsOf = async (
  db: Sql,
  extents: readonly Extent[],
  question: Omit<Question, 'columns'>,
): Promise<{ groups: Group[]; together: Group['numbers'] }> => {
  const { measures, groupBy, limit } = question.asked
  const columns = columnsFor(question.asked)
  const places = groupBy.map((_, i) => sql.lit(i + 1))
  const isTime = groupBy.some((name) => dimension(name).isTime)
  const order = isTime ? places : [mostOf(measures), ...places]
  const { rows } = await sql<Record<string, unknown>>`
    select ${sql.join([...groupBy.map((name) => sql.ref(`o.${name}`)), ...measures.flatMap((name) => readFor(name))])}
    from ${rowsIn(extents, { ...question, columns })} o
    ${groupBy.length === 0 ? sql`` : sql`group by ${sql.join(places)} order by ${sql.join(order)} limit ${limit + 1}`}
  `.execute(db)
  return together(rows, question.asked)
}

const columnsFor = ({ measures, groupBy }: Asked): Columns => {
  const numbers = new Set<CountedNumber>(['invocations'])
  const sketches = new Set<CountedSketch>()
  for (const made of measures.map(measure)) {
    if ('distinct' in made) sketches.add(made.distinct)
    else for (const one of [...made.add, ...(made.subtract ?? [])]) numbers.add(one)
  }
  return { groups: groupBy, numbers: [...numbers], sketches: [...sketches] }
}

const SKETCHES = '_sketches'

/** Sketches come as one value, each after its length: the driver would take a list of them apart character by character. */
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

/** The largest first, by the first number; by how much there is where it is no sum. */
const mostOf = ([first]: readonly MeasureName[]): RawBuilder<unknown> => {
  const made = first && measure(first)
  return !made || 'distinct' in made ? sql`sum(o.invocations) desc` : sql`${sumOf(made)} desc`
}

const together = async (
  rows: readonly Record<string, unknown>[],
  { measures, groupBy }: Asked,
): Promise<{ groups: Group[]; together: Group['numbers'] }> => {
  const sums = new Map<MeasureName, number>()
  const unions = new Map<MeasureName, Union>()
  const groups: Group[] = []
  const pause = createPause()
  for (const row of rows) {
    const numbers: Group['numbers'] = {}
    for (const name of measures) {
      if (!('distinct' in measure(name))) {
        numbers[name] = Number(row[name])
        sums.set(name, (sums.get(name) ?? 0) + numbers[name])
        continue
      }
      const union = unionOf(row[name], row[name + SKETCHES])
      numbers[name] = union.count()
      const all = unions.get(name)
      if (all) all.unite(union)
      else unions.set(name, union)
      await pause()
    }
    groups.push({ names: Object.fromEntries(groupBy.map((one) => [one, String(row[one])])), numbers })
  }
  const all = measures.map((name) => [name, sums.get(name) ?? unions.get(name)?.count() ?? 0] as const)
  return { groups, together: Object.fromEntries(all) }
}

/** Distinct members are estimated by the sketch that they would make, so that a number stays the same once they are gone. */
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

import { sql } from 'kysely'
import { addClamped } from '../../storage/sql/clamped-sum.js'
import type { Sql } from '../../storage/sql/database.js'
import { pairsIn } from '../../storage/sketches/hyperloglog/pairs.js'
import { Union } from '../../storage/sketches/hyperloglog/union.js'
import { COUNTED_NUMBERS, COUNTED_SKETCHES } from '../model/counted.js'
import { createPause } from '../../runtime/yield.js'

/** The rows from which summaries are computed. */
export type SummaryInput = {
  /** Rows with numbers, sketches and a value of each dimension, in batches. */
  batches: AsyncIterable<readonly SummaryRow[]>
  dimensions: readonly string[]
  /** The dimension by which the rows are sorted. */
  ordered: string
}

/** A day or month of a registry that is summarized. */
export type Summary = { registry: string; grain: 'day' | 'month'; start: string }

export type SummaryRow = Record<string, unknown>
type Sum = { dimension: string; value: string; numbers: number[]; unions: Union[] }

/** Rows of one statement: with large sketches, so many rows take two mebibytes. */
const WRITTEN_AT_ONCE = 50

/**
 * Adds rows up by each dimension, and writes the sums to pulls.summaries. It writes the sum of a sorted value as soon as the value is
 * complete, so memory contains only one value of the sorted dimension. It yields to other work between rows.
 */
export const writeSummaries = async (
  tx: Sql,
  summary: Summary,
  { batches, dimensions, ordered }: SummaryInput,
): Promise<void> => {
  const pause = createPause()
  const known = dimensions.map((dimension) => ({ dimension, sums: new Map<string, Sum>() }))
  const over: Sum[] = []
  const sumsFor = (row: SummaryRow): Sum[] =>
    known.map(({ dimension, sums }) => {
      const value = String(row[dimension])
      let sum = sums.get(value)
      if (sum) return sum
      if (dimension === ordered) {
        over.push(...sums.values())
        sums.clear()
      }
      sums.set(value, (sum = emptySum(dimension, value)))
      return sum
    })
  for await (const rows of batches) {
    for (const row of rows) {
      add(row, sumsFor(row))
      await pause()
    }
    while (over.length >= WRITTEN_AT_ONCE) await insert(tx, summary, over.splice(0, WRITTEN_AT_ONCE))
  }
  for (const { sums } of known) over.push(...sums.values())
  while (over.length > 0) await insert(tx, summary, over.splice(0, WRITTEN_AT_ONCE))
}

const emptySum = (dimension: string, value: string): Sum => ({
  dimension,
  value,
  numbers: COUNTED_NUMBERS.map(() => 0),
  unions: COUNTED_SKETCHES.map(() => new Union()),
})

/** Adds a row to sums. Each sketch is parsed once for all sums. */
const add = (row: SummaryRow, sums: readonly Sum[]): void => {
  for (const [i, name] of COUNTED_NUMBERS.entries()) {
    const number = Number(row[name])
    if (number > 0) for (const { numbers } of sums) numbers[i] = addClamped(numbers[i] ?? 0, number)
  }
  for (const [i, name] of COUNTED_SKETCHES.entries()) {
    const pairs = pairsIn(row[name] as Uint8Array)
    if (pairs.length > 0) for (const { unions } of sums) unions[i]?.raise(pairs)
  }
}

const insert = async (tx: Sql, { registry, grain, start }: Summary, sums: readonly Sum[]): Promise<void> => {
  const pause = createPause()
  const sketches: Buffer[][] = COUNTED_SKETCHES.map(() => [])
  for (const { unions } of sums) {
    for (const [i, union] of unions.entries()) sketches[i]?.push(Buffer.from(union.toBytes()))
    await pause()
  }
  const counted = [...COUNTED_NUMBERS, ...COUNTED_SKETCHES].map((name) => sql.ref(name))
  await sql`
    insert into pulls.summaries (registry, grain, start, dimension, value, ${sql.join(counted)})
    select ${registry}, ${grain}, ${start}::date, * from unnest(
      ${sums.map(({ dimension }) => dimension)}::text[], ${sums.map(({ value }) => value)}::text[],
      ${sql.join([
        ...COUNTED_NUMBERS.map((_, i) => sql`${sums.map(({ numbers }) => numbers[i])}::bigint[]`),
        ...sketches.map((bytes) => sql`${bytes}::bytea[]`),
      ])}
    )
  `.execute(tx)
}

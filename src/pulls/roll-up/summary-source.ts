import { sql, type RawBuilder } from 'kysely'
import { batchesOf } from '../../storage/sql/cursor.js'
import type { Sql } from '../../storage/sql/database.js'
import { COUNTED_NUMBERS, COUNTED_SKETCHES } from '../model/counted.js'
import { ALL, dimension, IN_SUMMARIES, SUMMARIZED } from '../model/dimensions.js'
import { addMonths } from '../model/period.js'
import type { SummaryRow, Summary } from './summary-rows.js'

/** Rows `o` from which a summary is computed, sorted by one of their columns. */
export type SummarySource = {
  table: 'pulls.days' | 'pulls.summaries'
  where: RawBuilder<unknown>
  /** The column by which the rows are sorted. */
  key: 'repository' | 'value'
  /** Whether an index is sorted by the key, so that some keys are found without reading the others. */
  isKeyIndexed: boolean
  columns: RawBuilder<unknown>
  dimensions: readonly string[]
  /** The dimension of the key. */
  ordered: string
  /** Rows that one statement reads. */
  atOnce: number
}

const COUNTED = sql.join([...COUNTED_NUMBERS, ...COUNTED_SKETCHES].map((name) => sql.ref(`o.${name}`)))

export const sourcesOf = ({ registry, grain, start }: Summary): SummarySource[] =>
  grain === 'day' ? [daySource(registry, start)] : IN_SUMMARIES.map((name) => monthSource(registry, start, name))

const daySource = (registry: string, start: string): SummarySource => {
  const values = SUMMARIZED.map((name) => sql`${dimension(name).value(sql`o.day`)} as ${sql.ref(name)}`)
  return {
    table: 'pulls.days',
    where: sql`o.registry = ${registry} and o.day = ${start}::date`,
    key: 'repository',
    isKeyIndexed: false,
    columns: sql`'' as ${sql.ref(ALL)}, ${sql.join([...values, COUNTED])}`,
    dimensions: IN_SUMMARIES,
    ordered: 'repository',
    atOnce: 200,
  }
}

const monthSource = (registry: string, start: string, name: string): SummarySource => ({
  table: 'pulls.summaries',
  where: sql`o.registry = ${registry} and o.dimension = ${name} and o.grain = 'day'
    and o.start >= ${start}::date and o.start < ${addMonths(start, 1)}::date`,
  key: 'value',
  isKeyIndexed: true,
  columns: sql`o.value as ${sql.ref(name)}, ${COUNTED}`,
  dimensions: [name],
  ordered: name,
  atOnce: 50,
})

/** Reads a source through a cursor. @param tx a transaction, in which the cursor reads one snapshot */
export const byCursor = (tx: Sql, { table, where, key, columns, atOnce }: SummarySource): AsyncIterable<SummaryRow[]> =>
  batchesOf(
    tx,
    sql<SummaryRow>`select ${columns} from ${sql.table(table)} o where ${where} order by ${sql.ref(`o.${key}`)}`,
    atOnce,
  )

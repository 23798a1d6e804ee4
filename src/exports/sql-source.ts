import { sql, type RawBuilder } from 'kysely'
import { isoTime, MICROS_PER_DAY, startOfDay, type Micros } from '../events/calendar.js'
import { isAnyOf } from '../pulls/query/filters.js'
import { batchesOf } from '../storage/sql/cursor.js'
import type { Sql } from '../storage/sql/database.js'
import type { Row } from './columns.js'
import type { DaySource } from './slices.js'

type SqlSourceDeps<Stored> = {
  /** A table, or a query in parentheses, with the columns `at` and `registry`, for the alias `o`. */
  table: RawBuilder<unknown>
  /** The selected expressions. */
  select: RawBuilder<Stored>
  toRow: (stored: Stored) => Row
  /** The recorded names of registries, or prefixes that end in `*`; undefined for all registries. */
  registries: readonly string[] | undefined
}

const ROWS_AT_ONCE = 5_000

/** The rows of a day in a table. The rows of a range are read through a cursor, because the driver needs ten times their size. */
export const sqlSource = <Stored>(
  tx: Sql,
  day: string,
  { table, select, toRow, registries }: SqlSourceDeps<Stored>,
): DaySource => {
  const start = startOfDay(day) ?? 0
  const isIn = (from: Micros, to: Micros): RawBuilder<unknown> => sql`
    o.at >= ${isoTime(from)}::timestamptz and o.at < ${isoTime(to)}::timestamptz
    and ${ofRegistries(registries)}`
  const isOfDay = isIn(start, start + MICROS_PER_DAY)
  return {
    count: async () => {
      const { rows } = await sql<{ count: string }>`select count(*) as count from ${table} o where ${isOfDay}`.execute(
        tx,
      )
      return Number(rows[0]?.count ?? 0)
    },
    countSeconds: async (add) => {
      const { rows } = await sql<{ second: number; count: string }>`
        select extract(epoch from date_trunc('second', o.at) - ${day}::timestamp at time zone 'UTC')::int as second, count(*) as count
        from ${table} o where ${isOfDay} group by 1
      `.execute(tx)
      for (const { second, count } of rows) add(second, Number(count))
    },
    rowsBetween: async (from, to) => {
      const rows: Row[] = []
      const query = sql<Stored>`select ${select} from ${table} o where ${isIn(from, to)}`
      for await (const batch of batchesOf(tx, query, ROWS_AT_ONCE)) for (const stored of batch) rows.push(toRow(stored))
      return rows
    },
  }
}

/** The condition that a row `o` is of one of these registries. */
const ofRegistries = (registries: readonly string[] | undefined): RawBuilder<unknown> =>
  registries === undefined ? sql`true` : isAnyOf(sql`o.registry`, registries)

/** Gives equal texts one copy in memory: the driver makes a copy for each row. */
export const createShare = (): ((text: string) => string) => {
  const known = new Map<string, string>()
  return (text) => {
    const copy = known.get(text)
    if (copy !== undefined) return copy
    if (known.size >= MOST_SHARED) known.clear()
    known.set(text, text)
    return text
  }
}

const MOST_SHARED = 50_000

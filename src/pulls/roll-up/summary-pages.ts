import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import type { SummaryRow } from './summary-rows.js'
import type { SummarySource } from './summary-source.js'

/** Identifies the rows that were read: their number, the sum of a hash of each row's id and version, and the file of the table. */
export type SourceRead = { rows: number; sum: number; file: string }

const VERSION = sql`hashtext(o.ctid::text || ' ' || o.xmin::text)`

/** Begins to read a source. It stores the file, because `vacuum full` moves rows to another file with other ids. */
export const beginRead = async (db: Sql, source: SummarySource): Promise<SourceRead> => ({
  rows: 0,
  sum: 0,
  file: await fileOf(db, source),
})

/**
 * Whether the rows of a source have not changed since they were read.
 * @param tx the transaction that marks the summary
 */
export const isUnchanged = async (tx: Sql, source: SummarySource, read: SourceRead): Promise<boolean> => {
  if ((await fileOf(tx, source)) !== read.file) return false
  // Summaries of days change only together with their marks, and a month is marked only if all its days have marks.
  if (source.table === 'pulls.summaries') return true
  const { rows } = await sql<{ rows: string; sum: string }>`
    select count(*) as rows, coalesce(sum(${VERSION}::bigint), 0) as sum from pulls.days o where ${source.where}
  `.execute(tx)
  return Number(rows[0]?.rows) === read.rows && Number(rows[0]?.sum) === read.sum
}

const fileOf = async (db: Sql, { table }: SummarySource): Promise<string> => {
  const { rows } = await sql<{ file: string }>`select pg_relation_filenode(${table}::regclass)::text as file`.execute(
    db,
  )
  return rows[0]?.file ?? ''
}

/**
 * Reads a source in short statements, between which other work uses the database. Rows may change meanwhile; see isUnchanged.
 * @param read adds up what was read
 */
export async function* byPages(db: Sql, source: SummarySource, read: SourceRead): AsyncGenerator<SummaryRow[]> {
  const { atOnce } = source
  const page: string[] = []
  for await (const ids of rowIdsOf(db, source)) {
    for (const id of ids) {
      page.push(id)
      if (page.length === atOnce) yield readPage(db, source, { ids: page.splice(0), read })
    }
  }
  if (page.length > 0) yield readPage(db, source, { ids: page, read })
}

type PagedRow = SummaryRow & { row_id: string; version: number }

/** Reads rows by id, so that the plan depends on no index or statistics. @returns the rows in the order of `ids` */
const readPage = async (
  db: Sql,
  { table, where, columns }: SummarySource,
  { ids, read }: { ids: readonly string[]; read: SourceRead },
): Promise<SummaryRow[]> => {
  const { rows } = await sql<PagedRow>`
    select ${columns}, o.ctid::text as row_id, ${VERSION} as version
    from ${sql.table(table)} o where o.ctid = any(${ids}::tid[]) and ${where}
  `.execute(db)
  read.rows += rows.length
  for (const { version } of rows) read.sum += version
  const order = new Map(ids.map((id, i) => [id, i]))
  const positionOf = ({ row_id }: PagedRow): number => order.get(row_id) ?? 0
  return rows.sort((a, b) => positionOf(a) - positionOf(b))
}

const KEYS_AT_ONCE = 1_000

/** The ids of the rows of each key, in the order of the keys. */
async function* rowIdsOf(db: Sql, { table, where, key, isKeyIndexed }: SummarySource): AsyncGenerator<string[]> {
  const column = sql.ref(`o.${key}`)
  for (let behind: RawBuilder<unknown> | undefined = sql`true`; behind;) {
    const { rows }: { rows: { value: string; ids: string }[] } = await sql<{ value: string; ids: string }>`
      select ${column} as value, string_agg(o.ctid::text, ' ') as ids from ${sql.table(table)} o where ${where} and ${behind}
      group by ${column} order by ${column} ${isKeyIndexed ? sql`limit ${KEYS_AT_ONCE}` : sql``}
    `.execute(db)
    for (const { ids } of rows) yield ids.split(' ')
    behind = isKeyIndexed && rows.length === KEYS_AT_ONCE ? sql`${column} > ${rows.at(-1)?.value}` : undefined
  }
}

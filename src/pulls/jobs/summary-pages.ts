import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/database.js'
import type { Row } from './summary-rows.js'
import type { Source } from './summary-source.js'

/** Which rows there are: their number, and the sum of a hash of each one's place and version. A row that changes gets another place. */
export type Versions = { rows: number; sum: number }

const VERSION = sql`hashtext(o.ctid::text || ' ' || o.xmin::text)`

export const versionsOf = async (db: Sql, { table, where }: Source): Promise<Versions> => {
  const { rows } = await sql<{ rows: string; sum: string }>`
    select count(*) as rows, coalesce(sum(${VERSION}::bigint), 0) as sum from ${sql.table(table)} o where ${where}
  `.execute(db)
  return { rows: Number(rows[0]?.rows), sum: Number(rows[0]?.sum) }
}

/**
 * Reads a source in statements of their own, between which others have their turn, so that rows may change meanwhile: whoever
 * wants them to be of one moment compares the versions with those of all rows.
 * @param seen counts the rows that were read
 */
export async function* byPages(db: Sql, source: Source, seen: Versions): AsyncGenerator<Row[]> {
  const { atOnce } = source
  const page: string[] = []
  for await (const places of placesOf(db, source)) {
    page.push(...places)
    while (page.length >= atOnce) yield readPage(db, source, { places: page.splice(0, atOnce), seen })
  }
  if (page.length > 0) yield readPage(db, source, { places: page, seen })
}

/** By the places of the rows, whatever indexes and statistics there are. */
const readPage = async (
  db: Sql,
  { table, where, columns, ordered }: Source,
  { places, seen }: { places: readonly string[]; seen: Versions },
): Promise<Row[]> => {
  const { rows } = await sql<Row & { version: number }>`
    select ${columns}, ${VERSION} as version from ${sql.table(table)} o where o.ctid = any(${places}::tid[]) and ${where}
  `.execute(db)
  seen.rows += rows.length
  for (const { version } of rows) seen.sum += version
  return rows.sort((a, b) => (String(a[ordered]) < String(b[ordered]) ? -1 : 1))
}

const KEYS_AT_ONCE = 1_000

/** The places of the rows of each key, in the order of the keys. */
async function* placesOf(db: Sql, { table, where, key, isKeyIndexed }: Source): AsyncGenerator<string[]> {
  const column = sql.ref(`o.${key}`)
  for (let behind: RawBuilder<unknown> | undefined = sql`true`; behind;) {
    const { rows }: { rows: { value: string; places: string }[] } = await sql<{ value: string; places: string }>`
      select ${column} as value, string_agg(o.ctid::text, ' ') as places from ${sql.table(table)} o where ${where} and ${behind}
      group by ${column} order by ${column} ${isKeyIndexed ? sql`limit ${KEYS_AT_ONCE}` : sql``}
    `.execute(db)
    for (const { places } of rows) yield places.split(' ')
    behind = isKeyIndexed && rows.length === KEYS_AT_ONCE ? sql`${column} > ${rows.at(-1)?.value}` : undefined
  }
}

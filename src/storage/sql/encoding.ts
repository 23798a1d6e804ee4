import { sql } from 'kysely'
import type { Database, Sql } from './database.js'

/** The only encoding that can store every text of a registry. */
export const UTF8 = 'UTF8'

/** The name and the encoding of a database. */
export type DatabaseEncoding = { name: string; encoding: string }

export const readEncoding = async (db: Sql): Promise<DatabaseEncoding> => {
  const { rows } = await sql<DatabaseEncoding>`
    select quote_ident(current_database()) as name, current_setting('server_encoding') as encoding
  `.execute(db)
  return rows[0] ?? { name: 'unknown', encoding: 'unknown' }
}

/** The statement that creates a database for Tallyman. Without `template0`, PostgreSQL refuses another encoding than the template's. */
export const createStatement = (name: string): string => `create database ${name} encoding '${UTF8}' template template0`

/**
 * What an installation loses on a database with another encoding, and how to move the data. Earlier versions accepted such a
 * database, so it is no error. The embedded database is always UTF8.
 */
export const encodingWarnings = async ({ engine, sql: db }: Database): Promise<string[]> => {
  if (engine === 'pglite') return []
  const { name, encoding } = await readEncoding(db)
  if (encoding === UTF8) return []
  return [`the database ${name} has the encoding ${encoding}, not ${UTF8}: ${lossOf(encoding)}. ${MOVE}`]
}

/** In SQL_ASCII, PostgreSQL checks no bytes and converts none. */
const lossOf = (encoding: string): string =>
  encoding === 'SQL_ASCII'
    ? 'PostgreSQL treats each byte of a text as a character, so it may cut and sort texts with other characters than ASCII wrongly'
    : `events with a character that ${encoding} lacks, for example in the name of a user, are set aside as not_storable and not counted, and queries with such a character fail`

const MOVE =
  `Stop Tallyman, create a database with "${createStatement('NAME')}", ` +
  'move the data with "pg_dump --encoding=UTF8" and "psql", and start Tallyman with the DATABASE_URL of the new database'

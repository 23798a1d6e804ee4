import { sql } from 'kysely'
import { hasInvalidParameter, type Sql } from '../../storage/sql/database.js'
import { PullsError } from './parameters.js'

/** The zones that a database knows. There are no more than JavaScript knows, as only those are asked for. */
const known = new WeakMap<object, Set<string>>()

/**
 * The database has a list of time zones of its own, which lacks some that JavaScript knows.
 * @throws PullsError if it does not know one
 */
export const refuseUnknownTimeZone = async (db: Sql, timeZone: string): Promise<void> => {
  const name = timeZone.toLowerCase()
  const names = known.get(db) ?? new Set(['utc'])
  known.set(db, names)
  if (names.has(name)) return
  try {
    await sql`select now() at time zone ${timeZone}::text`.execute(db)
  } catch (error) {
    if (!hasInvalidParameter(error)) throw error
    throw new PullsError(`tz: the database has no time zone "${timeZone}"; expected an IANA name, as Europe/Berlin`)
  }
  names.add(name)
}

import { sql } from 'kysely'
import { hasInvalidParameter, type Sql } from '../../storage/sql/database.js'
import { PullsError } from './parameters.js'

/** The zones that a database is known to have. The set is bounded: JavaScript has checked each name before. */
const known = new WeakMap<object, Set<string>>()

/**
 * Checks a time zone against the database, whose list lacks some zones that JavaScript knows.
 * @throws PullsError if the database does not know the time zone
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
    throw new PullsError(
      `tz: the database has no time zone "${timeZone}"; expected an IANA name, for example Europe/Berlin`,
    )
  }
  names.add(name)
}

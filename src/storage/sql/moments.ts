import { sql, type RawBuilder } from 'kysely'

type Part = RawBuilder<unknown>

const [BEFORE, AFTER] = ['(extract(epoch from ', ') * 1000000)::bigint']

/** A moment as whole microseconds since 1970. A Date would cut them. */
export const epochMicros = (moment: Part): Part => sql`${sql.raw(BEFORE)}${moment}${sql.raw(AFTER)}`

/** As `epochMicros`, for statements that are texts. */
export const epochMicrosText = (moment: string): string => BEFORE + moment + AFTER

/** A moment as ISO 8601 in UTC with microseconds. */
export const isoText = (moment: Part): Part =>
  sql`to_char(${moment} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`

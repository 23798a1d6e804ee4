import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import type { OutcomeKey, RepositoryDay } from './repository-day.js'

/** The stages of rolling up the day of a large repository, in this order. */
type Stage = 'clear' | 'behaviours' | 'rows' | 'done'

/** The progress of rolling up the day of a large repository. */
export type RollingDay = {
  /** A restarted day gets a new number. */
  number: string
  stage: Stage
  /** The readings of all origins with a smaller hash are stored. */
  hashedTo: number
  /** The last outcome that is counted in a row. */
  readTo: OutcomeKey | undefined
}

/** The smallest value of `hashtext`. */
const FIRST_HASH = -(2 ** 31)
/** One more than the largest value of `hashtext`. */
export const END_OF_HASHES = 2 ** 31

/** The key of the advisory lock under which days are rolled up. */
const ROLLING = 7_231_506

/** Until the transaction ends, no other process rolls up days. */
export const lockDays = async (tx: Sql): Promise<void> => {
  await sql`select pg_advisory_xact_lock(${ROLLING})`.execute(tx)
}

type Row = { number: string; stage: Stage; hashedTo: string; at: string | null; id: string | null }

const COLUMNS = sql`number, stage, hashed_to as "hashedTo", read_to_at::text as at, read_to_id as id`

const rollingDayOf = ({ number, stage, hashedTo, at, id }: Row): RollingDay => ({
  ...{ number, stage, hashedTo: Number(hashedTo) },
  readTo: at === null || id === null ? undefined : { at, id },
})

/** The progress of a repository's day; undefined if it was not begun. */
export const findRollingDay = async (
  tx: Sql,
  { registry, day, repository }: RepositoryDay,
): Promise<RollingDay | undefined> => {
  const { rows } = await sql<Row>`
    select ${COLUMNS} from pulls.rolling_days
    where registry = ${registry} and day = ${day}::date and repository = ${repository}
  `.execute(tx)
  return rows.map(rollingDayOf)[0]
}

export const beginRollingDay = async (tx: Sql, { registry, day, repository }: RepositoryDay): Promise<void> => {
  await sql`
    insert into pulls.rolling_days (registry, day, repository, stage, hashed_to)
    values (${registry}, ${day}::date, ${repository}, 'clear', ${FIRST_HASH})
  `.execute(tx)
}

/**
 * Locks days and checks that the progress of a day is unchanged: since it was read, another process may have continued the day, or an
 * erasure may have restarted it.
 * @returns whether the transaction may continue the day
 */
export const lockRollingDay = async (tx: Sql, { number, stage, hashedTo, readTo }: RollingDay): Promise<boolean> => {
  await lockDays(tx)
  const { rows } = await sql`
    select from pulls.rolling_days
    where number = ${number} and stage = ${stage} and hashed_to = ${hashedTo}
      and read_to_at is not distinct from ${readTo?.at ?? null}::timestamptz
      and read_to_id is not distinct from ${readTo?.id ?? null}
  `.execute(tx)
  return rows.length > 0
}

/** Stores the progress of a day, in the transaction that locked it. */
export const advanceRollingDay = async (tx: Sql, { number, stage, hashedTo, readTo }: RollingDay): Promise<void> => {
  await sql`
    update pulls.rolling_days set stage = ${stage}, hashed_to = ${hashedTo}, read_to_at = ${readTo?.at ?? null}::timestamptz,
      read_to_id = ${readTo?.id ?? null}
    where number = ${number}
  `.execute(tx)
}

/** Restarts the roll-up of days of registries, because their outcomes changed. Waits for the transaction that has the lock. */
export const restartRollingDays = async (tx: Sql, registries?: readonly string[]): Promise<void> => {
  await lockDays(tx)
  await sql`
    delete from pulls.rolling_days ${registries ? sql`where registry = any(${registries}::text[])` : sql``}
  `.execute(tx)
}

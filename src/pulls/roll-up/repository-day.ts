import { sql, type RawBuilder } from 'kysely'
import { isoTime } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { addDays } from '../model/period.js'

/** A repository on a UTC day, with the begin and end of the day, and the begin of the days from which behaviour is read. */
export type RepositoryDay = {
  registry: string
  repository: string
  day: string
  start: string
  end: string
  lookFrom: string
}

/** Identifies an outcome of a repository, and is its sort key: several outcomes may have the same time. */
export type OutcomeKey = { at: string; id: string }

/** Outcomes of a repository from a time on, after the outcome `after` and up to `upTo`; to the end of the day if that is undefined. */
export type OutcomeRange = { from: string; after: OutcomeKey | undefined; upTo: OutcomeKey | undefined }

/** Behaviour is read from so many days, of which the last one is the day itself. */
const LOOK_BACK_DAYS = 7

export const startOf = (day: string): string => isoTime(Date.parse(day) * 1_000)
export const endOf = (day: string): string => startOf(addDays(day, 1))

export const repositoryDay = (registry: string, repository: string, day: string): RepositoryDay => ({
  ...{ registry, repository, day },
  start: startOf(day),
  end: endOf(day),
  lookFrom: startOf(addDays(day, 1 - LOOK_BACK_DAYS)),
})

/** All outcomes of a day. */
export const wholeDay = ({ start }: RepositoryDay): OutcomeRange => ({ from: start, after: undefined, upTo: undefined })

/** The condition that outcomes `o` are in a range. It selects a range of the table's key. */
export const isInRange = (
  { registry, repository, end }: RepositoryDay,
  { from, after, upTo }: OutcomeRange,
): RawBuilder<unknown> => sql`
  o.registry = ${registry} and o.repository = ${repository} and o.at >= ${from}::timestamptz and o.at < ${end}::timestamptz
  ${after ? sql`and (o.at, o.id) > (${after.at}::timestamptz, ${after.id})` : sql``}
  ${upTo ? sql`and (o.at, o.id) <= (${upTo.at}::timestamptz, ${upTo.id})` : sql``}
`

/** The next range of at most so many outcomes; the last range goes to the end of the day. */
export const nextRange = async (
  db: Sql,
  of: RepositoryDay,
  { from, after, most }: Pick<OutcomeRange, 'from' | 'after'> & { most: number },
): Promise<OutcomeRange> => {
  const { rows } = await sql<OutcomeKey>`
    select o.at::text as at, o.id from pulls.outcomes o where ${isInRange(of, { from, after, upTo: undefined })}
    order by o.at, o.id offset ${most - 1} limit 1
  `.execute(db)
  return { from, after, upTo: rows[0] }
}

import { sql, type RawBuilder } from 'kysely'
import { isoTime } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { addDays } from '../model/period.js'

/** A repository on a UTC day: from when and until when it lasts, and when the days begin that are looked at. */
export type RepositoryDay = {
  registry: string
  repository: string
  day: string
  start: string
  end: string
  lookFrom: string
}

/** Identifies an outcome. The outcomes of a repository are sorted by it: several may have the same time. */
export type OutcomeKey = { at: string; id: string }

/** Outcomes of a repository in a stretch of time, behind one of them, and up to another: without it, to the end of the day. */
export type OutcomeRange = { from: string; after: OutcomeKey | undefined; upTo: OutcomeKey | undefined }

/** How an origin asks is read from the days that end with one. */
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

/** The condition on outcomes `o` of a range. It is a range of the table's key. */
export const isInRange = (
  { registry, repository, end }: RepositoryDay,
  { from, after, upTo }: OutcomeRange,
): RawBuilder<unknown> => sql`
  o.registry = ${registry} and o.repository = ${repository} and o.at >= ${from}::timestamptz and o.at < ${end}::timestamptz
  ${after ? sql`and (o.at, o.id) > (${after.at}::timestamptz, ${after.id})` : sql``}
  ${upTo ? sql`and (o.at, o.id) <= (${upTo.at}::timestamptz, ${upTo.id})` : sql``}
`

/** The next range of so many outcomes, or of all that are left until the end of the day. */
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

import { sql } from 'kysely'
import type { Sql } from '../../storage/database.js'

/** One request, with the number to go on after. */
export type ToldRequest = {
  cursor: number
  registry: string
  repository: string
  origin: string
  is_late: boolean
} & Record<string, unknown>

/** Requests in the order in which they were folded, after a number. */
export const requestsAfter = async (db: Sql, after: number, limit: number): Promise<ToldRequest[]> => {
  const { rows } = await sql<{
    number: string
    id: string
    registry: string
    repository: string
    origin: string
    is_late: boolean
    request: string
  }>`
    select number, id, registry, repository, origin, is_late, request from pulls.requests
    where number > ${after} order by number limit ${limit}
  `.execute(db)
  return rows.map(({ number, id, registry, repository, origin, is_late, request }) => ({
    cursor: Number(number),
    id,
    registry,
    repository,
    origin,
    is_late,
    ...(JSON.parse(request) as object),
  }))
}

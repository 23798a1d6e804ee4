import { sql, type RawBuilder } from 'kysely'
import { ROWS_AT_ONCE, repeatUntilEmpty } from '../../storage/sql/batched.js'
import type { Database, Sql } from '../../storage/sql/database.js'
import { headsAmong, lookUpHeads } from '../fold-job/look-up-heads.js'
import { keepNewest } from '../fold-job/last-uses.js'

/** Pending requests that one transaction erases. The number is small, because each HEAD is looked up. */
const PENDING_AT_ONCE = 100

/** @returns how many requests were erased */
export const erasePending = async (jobs: Database['jobs'], where: RawBuilder<unknown>): Promise<number> =>
  repeatUntilEmpty(async () => jobs.transaction().execute(async (tx) => eraseSomePending(tx, where)))

/** Erases an origin from the pending requests of the same client with the next salt, which continue its chains. */
export const erasePrevious = async (
  jobs: Database['jobs'],
  origin: string,
  where: RawBuilder<unknown>,
): Promise<number> =>
  repeatUntilEmpty(async () =>
    jobs.transaction().execute(async (tx) => {
      const { rows } = await sql<{ row_id: string }>`
        select ctid as row_id from pulls.pending
        where ${where} and strpos(request, '"previous"') > 0 and request::jsonb->>'previous' = ${origin}
        order by registry, at limit ${ROWS_AT_ONCE} for update
      `.execute(tx)
      await sql`
        update pulls.pending set request = (request::jsonb - 'previous')::text
        where ctid = any(${rows.map(({ row_id }) => row_id)}::tid[])
      `.execute(tx)
      return rows.length
    }),
  )

/**
 * Erases some pending requests, but stores their last uses with times and kinds of clients, as the fold does. The inventory has the
 * time of each use: without its kind, a query that excludes kinds of clients would count the use.
 */
const eraseSomePending = async (tx: Sql, where: RawBuilder<unknown>): Promise<number> => {
  const { rows } = await sql<{ row_id: string; id: string; request: string }>`
    select ctid as row_id, id, request from pulls.pending where ${where}
    order by registry, at limit ${PENDING_AT_ONCE} for update
  `.execute(tx)
  const beforePush = [...(await lookUpHeads(tx, headsAmong(rows)))].filter(([, isPart]) => isPart).map(([id]) => id)
  await sql`
    with erased as (
      delete from pulls.pending where ctid = any(${rows.map(({ row_id }) => row_id)}::tid[])
      returning id, registry, repository, at, request, who
    ), uses as (
      select registry, repository, reference, who::jsonb->>'kind' as kind, max(at) as used_at,
        max(at) filter (where request::jsonb->>'method' = 'GET') as pulled_at
      from erased cross join lateral (values (request::jsonb->>'tag'), (request::jsonb->>'digest')) named (reference)
      where reference is not null and request::jsonb->>'object' = 'manifest' and not id = any(${beforePush}::uuid[])
      group by registry, repository, reference, kind
    )
    insert into pulls.last_uses as u (registry, repository, reference, kind, used_at, pulled_at)
    select registry, repository, reference, kind, used_at, pulled_at from uses
    order by registry, repository, reference, kind
    ${keepNewest}
  `.execute(tx)
  return rows.length
}

import { sql } from 'kysely'
import type { Database, Sql } from '../../storage/sql/database.js'
import { isKnownIn } from '../model/known-in.js'

/** Manifests whose contents no event contained and no registry has returned yet: `waiting` will be read, `givenUp` will not. */
export type UnreadManifests = { waiting: number; givenUp: number }

/** The most that are counted: the operator needs to know whether there are some, or far too many. */
const MOST_COUNTED = 10_000
const AT_ONCE = 10_000

/** Counts both, each up to 10,000. */
export const countUnread = async (db: Sql): Promise<UnreadManifests> => {
  const { rows } = await sql<UnreadManifests>`
    select (
      select count(*)::int from (
        select from inventory.manifests where not contents_known and next_attempt_at is not null limit ${MOST_COUNTED}
      ) counted
    ) as waiting, (
      select count(*)::int from (
        select from inventory.manifests where not contents_known and next_attempt_at is null limit ${MOST_COUNTED}
      ) counted
    ) as "givenUp"
  `.execute(db)
  return rows[0] ?? { waiting: 0, givenUp: 0 }
}

/** How many manifests of unknown contents a registry has. */
export type UnknownContents = { registry: string; manifests: number }

/** Counts the first 10,000 manifests of unknown contents by registry, the registry with the most of them first. */
export const unknownContentsByRegistry = async (db: Sql): Promise<UnknownContents[]> => {
  const { rows } = await sql<UnknownContents>`
    select r.registry, count(distinct u.digest)::int as manifests
    from (select * from inventory.manifests where not contents_known limit ${MOST_COUNTED}) u
      join inventory.repository_manifests o on o.digest = u.digest and o.live
      join inventory.repositories r on r.id = o.repository_id
    where not ${isKnownIn(sql`u`, sql`r.registry`)}
    group by r.registry order by manifests desc, r.registry
  `.execute(db)
  return rows
}

/**
 * Schedules an immediate retry of all manifests that could not be read, including those that were given up.
 * @returns the number of these manifests
 */
export const retryReads = async ({ sql: db }: Database): Promise<number> => {
  let retried = 0
  for (;;) {
    const { numAffectedRows } = await sql`
      update inventory.manifests set attempts = 0, next_attempt_at = now()
      where digest in (
        select digest from inventory.manifests
        where not contents_known and (next_attempt_at is null or (attempts > 0 and last_error is not null))
        order by digest limit ${AT_ONCE} for update skip locked
      )
    `.execute(db)
    const rows = Number(numAffectedRows ?? 0)
    retried += rows
    if (rows < AT_ONCE) return retried
  }
}

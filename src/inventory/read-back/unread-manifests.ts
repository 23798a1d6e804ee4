import { sql } from 'kysely'
import type { Database, Sql } from '../../storage/sql/database.js'
import { isKnownIn } from '../model/known-in.js'

/** Manifests whose contents were in no event and have not been read from a registry yet: those that will be asked for, and those that will not. */
export type UnreadManifests = { waiting: number; givenUp: number }

/** Counted to here: whoever looks after the service wants to know whether there are some, or far too many. */
const MOST_COUNTED = 10_000
const AT_ONCE = 10_000

/** How many there are, each count 10,000 at most. */
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

/** Manifests of unknown contents that a registry has. */
export type UnknownContents = { registry: string; manifests: number }

/** Where the first 10,000 manifests of unknown contents are, the registry that has most of them first. */
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

/** Has manifests read at once that could not be read before, also those that were given up. @returns how many. */
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

import { sql } from 'kysely'
import type { Database, Sql } from '../../storage/database.js'
import { inSteps, ROWS_AT_ONCE } from '../../storage/in-steps.js'

/** On the embedded database a notification waits for the whole statement: 2,000 rows took up to 200 ms under load. */
const AT_ONCE = 500
/**
 * Tags of one manifest that one client asked for by HEAD within a day, of which one GET may be a pull: a client that asks for more made them
 * up, or copies a repository. Their HEADs are checks.
 */
const MOST_TAGS = 100

/**
 * Finds pulls of tags that took two requests: a HEAD by tag, and within 60 s the GET of what it pointed to by digest, from the
 * same client. Each row looks for its other half once, whichever of them came first.
 */
export const joinLookups = async (database: { sql: Sql }): Promise<void> => {
  for (let more = true; more;) more = (await joinSome(database)) === AT_ONCE
}

/**
 * Behind a proxy all clients are one, with hundreds of thousands of rows of one manifest: each row looks up what it needs by
 * an index, the last GET or one HEAD of each tag, and passes by the others.
 */
const joinSome = async ({ sql: db }: { sql: Sql }): Promise<number> => {
  const { rows } = await sql<{ joined: string }>`
    with fresh as materialized (
      select event_id, repository_id, method, digest, tag, origin, at
      from inventory.tag_lookups where not joined order by event_id limit ${AT_ONCE} for update skip locked
    ), pulls as (
      select head.repository_id, head.tag, got.at
      from fresh head cross join lateral (
        select o.at from inventory.tag_lookups o
        where (o.repository_id, o.digest, o.origin) = (head.repository_id, head.digest, head.origin) and o.method = 'GET'
          and o.at between head.at and head.at + interval '60 seconds'
        order by o.at desc limit 1
      ) got
      where head.method = 'HEAD' and head.tag is not null
      union all
      select got.repository_id, head.tag, got.at
      from fresh got cross join lateral (
        with recursive named as (
          (
            select o.tag from inventory.tag_lookups o
            where (o.repository_id, o.digest, o.origin) = (got.repository_id, got.digest, got.origin)
              and o.method = 'HEAD' and o.tag is not null
            order by o.tag limit 1
          )
          union all
          select (
            select o.tag from inventory.tag_lookups o
            where (o.repository_id, o.digest, o.origin) = (got.repository_id, got.digest, got.origin)
              and o.method = 'HEAD' and o.tag > named.tag
            order by o.tag limit 1
          )
          from named where named.tag is not null
        )
        select named.tag from (select tag from named limit ${MOST_TAGS}) named cross join lateral (
          select from inventory.tag_lookups o
          where (o.repository_id, o.digest, o.origin, o.tag) = (got.repository_id, got.digest, got.origin, named.tag)
            and o.method = 'HEAD' and o.at between got.at - interval '60 seconds' and got.at
          limit 1
        ) near
      ) head
      where got.method = 'GET'
    ), locked as (
      select t.repository_id, t.name, pulls.at
      from inventory.tags t
        join (select repository_id, tag, max(at) as at from pulls group by repository_id, tag) pulls
          on pulls.repository_id = t.repository_id and pulls.tag = t.name
      order by t.repository_id, t.name for update of t
    ), pulled as (
      update inventory.tags t set pulled_at = greatest(t.pulled_at, locked.at)
      from locked where t.repository_id = locked.repository_id and t.name = locked.name
    ), done as (
      update inventory.tag_lookups l set joined = true from fresh where l.event_id = fresh.event_id returning 1
    )
    select count(*) as joined from done
  `.execute(db)
  return Number(rows[0]?.joined ?? 0)
}

const KEPT_MS = 86_400_000

/** Deletes what arrived more than a day ago, once nothing is pending: the fold of pulls looks up HEADs and pushes until then. */
export const forgetLookups = async ({ sql: db }: Database, now: Date): Promise<void> => {
  const oldest = new Date(now.getTime() - KEPT_MS).toISOString()
  for (const [name, isDone] of [
    ['tag_lookups', sql`joined and settled`],
    ['recent_pushes', sql`true`],
  ] as const) {
    const table = sql.table(`inventory.${name}`)
    await inSteps(
      db,
      sql`
        delete from ${table} where ctid = any(array(
          select ctid from ${table}
          where ${isDone} and at < ${oldest}::timestamptz and received_at < ${oldest}::timestamptz
          limit ${ROWS_AT_ONCE}
        ))
      `,
    )
  }
}

import { sql, type RawBuilder } from 'kysely'
import type { Database, Sql } from '../../storage/sql/database.js'
import { deleteSome, inSteps } from '../../storage/sql/batched.js'
import { createStepSizes, doStep, partOf } from '../../storage/sql/step-sizes.js'

/** On the embedded database, notifications wait for the whole statement. Each row looks up at most MOST_TAGS tags, twice. */
const AT_ONCE = 100
/**
 * The most tags of one manifest that one client may check by HEAD within a day so that one GET counts as a pull of the tag. A
 * client that checks more tags made them up, or copies a repository. Its HEADs are checks.
 */
const MOST_TAGS = 100

/**
 * Finds pulls of tags that took two requests: a HEAD by tag, and within 60 s the GET by digest of the manifest that the tag
 * pointed to, from the same client. Each row looks for its counterpart once, whichever request was stored first.
 * @param sizes sizes of the steps, kept for the next run: a step that the database cancelled is repeated with fewer rows
 */
export const joinLookups = async (database: { sql: Sql }, sizes = createStepSizes()): Promise<void> => {
  const joinStep = async (divisor: number): Promise<boolean> => {
    const atOnce = partOf(AT_ONCE, divisor)
    return (await joinSome(database, atOnce)) === atOnce
  }
  while (await doStep(sizes, { kind: 'lookups', size: AT_ONCE }, joinStep));
}

/** The last HEAD of `named.tag` by the client of `got` that precedes a GET between two times. */
const lastHead = (oldest: RawBuilder<unknown>, newest: RawBuilder<unknown>): RawBuilder<unknown> => sql`
  select o.at from inventory.tag_lookups o
  where (o.repository_id, o.digest, o.origin, o.tag) = (got.repository_id, got.digest, got.origin, named.tag)
    and o.method = 'HEAD' and o.at between ${oldest} - interval '60 seconds' and ${newest}
  order by o.at desc limit 1`

/**
 * Behind a proxy all clients look like one, with hundreds of thousands of rows for one manifest. So each row looks up by index
 * only the last GET, or one HEAD of each tag. Tags of equal GETs are looked up once, and for each tag only the last of these
 * GETs that is a pull counts.
 */
const joinSome = async ({ sql: db }: { sql: Sql }, atOnce: number): Promise<number> => {
  const { rows } = await sql<{ joined: string }>`
    with fresh as materialized (
      select event_id, repository_id, method, digest, tag, origin, at
      from inventory.tag_lookups where not joined order by event_id limit ${atOnce} for update skip locked
    ), gets as materialized (
      select repository_id, digest, origin, array_agg(at order by at desc) as times, min(at) as oldest, max(at) as newest
      from fresh where method = 'GET' group by repository_id, digest, origin
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
      select got.repository_id, head.tag, head.at
      from gets got cross join lateral (
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
        select named.tag, pull.at
        from (select tag from named limit ${MOST_TAGS}) named
          -- Most tags were checked at another time, which one look-up shows for all GETs.
          cross join lateral (${lastHead(sql`got.oldest`, sql`got.newest`)}) any_head
          cross join lateral (
            select got_at as at from unnest(got.times) as got_at cross join lateral (${lastHead(sql`got_at`, sql`got_at`)}) near
            limit 1
          ) pull
      ) head
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

/**
 * Deletes rows that arrived more than a day ago and are not pending: the fold of pulls looks up HEADs and pushes until then.
 */
export const expireLookups = async ({ sql: db }: Database, now: Date): Promise<void> => {
  const oldest = new Date(now.getTime() - KEPT_MS).toISOString()
  for (const [name, isDone] of [
    ['tag_lookups', sql`joined and settled`],
    ['recent_pushes', sql`true`],
  ] as const) {
    const isOld = sql`${isDone} and at < ${oldest}::timestamptz and received_at < ${oldest}::timestamptz`
    await inSteps(db, deleteSome(`inventory.${name}`, isOld))
  }
}

import { sql, type RawBuilder } from 'kysely'
import { isPushOf } from '../is-push-of.js'

/**
 * How long after its HEAD a client may still push, for the HEAD to be part of the push. Clients ask for the tag first, upload
 * layers for minutes, and push the manifest last. A longer window would take more checks by those who pull and push from one
 * address for parts of a push.
 */
export const MINUTES_TO_PUSH = 15

const isInTime = (at: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`${at} between l.at and l.at + ${sql.lit(MINUTES_TO_PUSH)}::int * interval '1 minute'`

/** Of a push `p`; the hash is what its index contains. */
const isReference = (reference: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`hashtext(p.reference) = hashtext(${reference}) and p.reference = ${reference}`

/** The first push of a reference by the client of `l` in time. */
const firstPushOf = (reference: RawBuilder<unknown>): RawBuilder<unknown> => sql`(
  select p.at from inventory.recent_pushes p
  where p.repository_id = l.repository_id and ${isReference(reference)} and p.origin = l.origin and ${isInTime(sql`p.at`)}
  order by p.at limit 1
)`

/** The same of the manifest of `l` and of the indexes that list it, which may have been pushed by their digests or by tags. */
const firstPushOfDigest = sql`(
  with pushed as (
    select l.digest union select c.manifest_digest from inventory.manifest_children c where c.digest = l.digest
  )
  select least(
    (select min(${firstPushOf(sql`pushed.digest`)}) from pushed),
    (
      select min(c.at) from pushed join inventory.changes c on ${isPushOf(sql`pushed.digest`)}
      where c.repository_id = l.repository_id and ${isInTime(sql`c.at`)} and exists (
        select from inventory.recent_pushes p
        where p.repository_id = c.repository_id and ${isReference(sql`c.tag`)} and p.at = c.at and p.origin = l.origin
      )
    )
  )
)`

/**
 * Whether a row `l` of inventory.tag_lookups, a HEAD, is part of a push: the same client (address, user agent, user) pushed the
 * same tag within 15 minutes, or, after a HEAD by digest, that manifest or an index that lists it. A HEAD whose manifest the
 * client fetched within a minute, and before it pushed, is part of a pull. If no GET lies between the HEAD and the first push,
 * the later pushes do not matter. Whatever is not known leaves the HEAD a check, which is a use.
 */
const isPartOfPush = sql`coalesce((
  select not exists (
    select from inventory.tag_lookups g
    where g.method = 'GET' and g.repository_id = l.repository_id and g.digest = l.digest and g.origin = l.origin
      and g.at >= l.at and g.at <= least(first_push.at, l.at + interval '60 seconds')
  )
  from (
    select case when l.tag is not null then ${firstPushOf(sql`l.tag`)} else ${firstPushOfDigest} end as at
  ) first_push
  where first_push.at is not null
), false)`

/** The newest check of rows `l` that is not settled yet, of those for which `which` holds; null without one. */
export const newestPendingCheck = (which: RawBuilder<unknown>): RawBuilder<unknown> => sql`(
  select l.at from inventory.tag_lookups l where not l.settled and ${which} and not ${isPartOfPush}
  order by l.at desc limit 1
)`

/** Whether a pending check may be as new as `moment`: one look at the oldest, so that most rows are not looked up. */
export const mayHavePendingCheck = (moment: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`${moment} >= (select min(at) from inventory.tag_lookups where not settled)`

/** Checks, of those that are due, with whether each is part of a push. */
export const dueChecks = (due: RawBuilder<unknown>, limit: number): RawBuilder<unknown> => sql`
  select l.event_id, l.repository_id, l.digest, l.tag, l.at, ${isPartOfPush} as is_part_of_push
  from inventory.tag_lookups l where not l.settled and ${due}
  order by l.at limit ${limit} for update skip locked`

/** Whether the request of an event was a HEAD that is part of a push; also long after it was settled, for a day. */
export const wasCheckBeforePush = (event: RawBuilder<unknown>): RawBuilder<unknown> => sql`exists (
  select from inventory.tag_lookups l where l.event_id = ${event} and l.method = 'HEAD' and ${isPartOfPush}
)`

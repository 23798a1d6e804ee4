import { sql, type RawBuilder } from 'kysely'
import { entriesListing } from '../model/index-entries.js'
import { isPushOf } from '../model/is-push-of.js'
import { isKnownIn, registryOf } from '../model/known-in.js'

/**
 * How many minutes after its HEAD a client may still push, for the HEAD to be part of the push. Clients first check the tag,
 * then upload layers for minutes, and push the manifest last. With a longer window, more checks would count as part of a push
 * if one address both pulls and pushes.
 */
export const MINUTES_TO_PUSH = 15

const isInTime = (at: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`${at} between l.at and l.at + ${sql.lit(MINUTES_TO_PUSH)}::int * interval '1 minute'`

/** A condition on a push `p`. The condition on the hash is there because the database index is on the hash. */
const isReference = (reference: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`hashtext(p.reference) = hashtext(${reference}) and p.reference = ${reference}`

/**
 * Rows of one kind that are read to look up one HEAD: pushes of a repository, of a tag or of a digest, and indexes that list a
 * digest. If the push is beyond them, the HEAD stays a check. The limit is needed because digests in events may be made up: any
 * number of indexes may list one manifest.
 */
const MOST_READ = 300
/** Entries that are read of the indexes that the client pushed. */
const MOST_LISTED = 500

/**
 * Whether the registry of `l` stated the list of an index. A list that only another registry stated does not make a HEAD part
 * of a push.
 */
const isListKnown = (digest: RawBuilder<unknown>): RawBuilder<unknown> => sql`exists (
  select from inventory.manifests m where m.digest = ${digest} and ${isKnownIn(sql`m`, registryOf(sql`l.repository_id`))}
)`

/**
 * The first push of the tag of `l` by the same client within the time limit. `order by` makes PostgreSQL use the index,
 * whatever its statistics are.
 */
const firstPushOfTag = (most: number): RawBuilder<unknown> => sql`(
  select min(p.at) from (
    select p.origin, p.at from inventory.recent_pushes p
    where p.repository_id = l.repository_id and ${isReference(sql`l.tag`)} and ${isInTime(sql`p.at`)}
    order by p.at limit ${sql.lit(most)}
  ) p
  where p.origin = l.origin
)`

/**
 * For a repository with few pushes in `recent`, which has the pushes of a day: when the client of `l` first pushed the manifest
 * or an index that lists it.
 */
const firstOfFewPushes = sql`(
  with own as materialized (
    select p.reference, p.at from recent p where p.origin = l.origin and ${isInTime(sql`p.at`)}
  ), pushed as materialized (
    select reference as digest, at from own
    union all
    (
      select c.digest, own.at from own cross join lateral (
        select c.digest from inventory.changes c
        where c.repository_id = l.repository_id and c.tag = own.reference and c.at = own.at and c.action = 'push' offset 0
      ) c limit ${sql.lit(MOST_READ)}
    )
  )
  select least(
    (select min(at) from pushed where digest = l.digest),
    (
      select min(at) from (
        select c.digest, pushed.digest as listed_by, pushed.at from pushed cross join lateral (
          select c.digest from inventory.manifest_children c where c.manifest_digest = pushed.digest offset 0
        ) c limit ${sql.lit(MOST_LISTED)}
      ) listed where digest = l.digest and ${isListKnown(sql`listed.listed_by`)}
    )
  )
)`

/**
 * For a repository with many pushes: when the client first pushed the manifest or an index of the repository that lists it, by
 * digest or by tag. If more indexes of any registry list the manifest than are read, only pushes of the manifest itself are
 * looked up.
 */
const firstOfManyPushes = sql`(
  with listing as materialized (
    select c.manifest_digest as digest from ${entriesListing(sql`l.digest`, MOST_READ + 1)} c
  ), pushed as materialized (
    select l.digest
    union
    select listing.digest from listing cross join lateral (
      select from inventory.repository_manifests o
      where o.repository_id = l.repository_id and o.digest = listing.digest offset 0
    ) o
    where (select count(*) from listing) <= ${sql.lit(MOST_READ)} and ${isListKnown(sql`listing.digest`)}
  ), changed as materialized (
    select c.tag, c.at from pushed cross join lateral (
      select c.tag, c.at from inventory.changes c
      where c.repository_id = l.repository_id and ${isPushOf(sql`pushed.digest`)} offset 0
    ) c limit ${sql.lit(MOST_READ)}
  ), by_digest as materialized (
    select p.origin, p.at from pushed cross join lateral (
      select p.origin, p.at from inventory.recent_pushes p
      where p.repository_id = l.repository_id and ${isReference(sql`pushed.digest`)} and ${isInTime(sql`p.at`)} offset 0
    ) p limit ${sql.lit(MOST_READ)}
  ), by_tag as materialized (
    select p.origin, p.at from (select tag, at from changed where ${isInTime(sql`at`)}) c cross join lateral (
      select p.origin, p.at from inventory.recent_pushes p
      where p.repository_id = l.repository_id and ${isReference(sql`c.tag`)} and p.at = c.at offset 0
    ) p limit ${sql.lit(MOST_READ)}
  )
  select min(at) from (select origin, at from by_digest union all select origin, at from by_tag) p where p.origin = l.origin
)`

/**
 * When the client of `l` first pushed the manifest of `l` or an index that lists it, by digest or by tag. For a repository with
 * few pushes, lists of other registries are not read.
 */
const firstPushOfDigest = sql`(
  with recent as materialized (
    select p.reference, p.origin, p.at from inventory.recent_pushes p
    where p.repository_id = l.repository_id
    order by p.repository_id, hashtext(p.reference), p.at limit ${sql.lit(MOST_READ + 1)}
  )
  select case when (select count(*) from recent) <= ${sql.lit(MOST_READ)} then ${firstOfFewPushes} else ${firstOfManyPushes} end
)`

/**
 * Whether a row `l` of inventory.tag_lookups, a HEAD, is part of a push. It is if the same client (address, user agent, user)
 * pushed the same tag within 15 minutes. After a HEAD by digest, a push of that manifest or of an index that lists it counts. A
 * HEAD is part of a pull if the client fetched the manifest within a minute and before the push. If no GET lies between the
 * HEAD and the first push, later pushes do not matter. If anything is unknown, the HEAD stays a check, which is a use.
 */
const isPartOf = (firstPush: RawBuilder<unknown>): RawBuilder<unknown> => sql`coalesce((
  select not exists (
    select from inventory.tag_lookups g
    where g.method = 'GET' and g.repository_id = l.repository_id and g.digest = l.digest and g.origin = l.origin
      and g.at >= l.at and g.at <= least(first_push.at, l.at + interval '60 seconds')
  )
  from (select ${firstPush} as at offset 0) first_push
  where first_push.at is not null
), false)`

const isPartOfPush = isPartOf(
  sql`case when l.tag is not null then ${firstPushOfTag(MOST_READ)} else ${firstPushOfDigest} end`,
)

/** The newest pending HEADs of one manifest or tag that a query looks up, and the pushes that are read for each. */
const MOST_PENDING = 5
const MOST_READ_FOR_PENDING = 20

/**
 * The newest HEAD in rows `l` that is not settled and meets the condition `which`; null without one. The HEAD may be part of a
 * push.
 */
export const newestPendingHead = (which: RawBuilder<unknown>): RawBuilder<unknown> => sql`(
  select l.at from inventory.tag_lookups l where not l.settled and ${which} order by l.at desc limit 1
)`

/**
 * As newestPendingHead, without HEADs of tags that are part of a push. HEADs of digests are not looked up, because that may
 * take much longer: they count as checks until they are settled. If the newest MOST_PENDING HEADs are all parts of pushes, the
 * next one counts as a check: an image that may be in use must not be offered as unused.
 */
export const newestPendingCheck = (which: RawBuilder<unknown>): RawBuilder<unknown> => sql`(
  select l.at from (
    select l.repository_id, l.digest, l.tag, l.origin, l.at, row_number() over (order by l.at desc rows unbounded preceding) as number
    from inventory.tag_lookups l where not l.settled and ${which} order by l.at desc limit ${sql.lit(MOST_PENDING + 1)}
  ) l
  where l.number > ${sql.lit(MOST_PENDING)} or l.tag is null or not ${isPartOf(firstPushOfTag(MOST_READ_FOR_PENDING))}
  order by l.at desc limit 1
)`

/** Whether a pending check may be as new as `moment`. The oldest pending check decides, so that most rows need no look-up. */
export const mayHavePendingCheck = (moment: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`${moment} >= (select min(at) from inventory.tag_lookups where not settled)`

/** The oldest of the HEADs that are due, with whether each is part of a push. */
export const dueChecks = (due: RawBuilder<unknown>, limit: number): RawBuilder<unknown> => sql`
  select l.event_id, l.repository_id, l.digest, l.tag, l.at, ${isPartOfPush} as is_part_of_push
  from inventory.tag_lookups l where not l.settled and ${due}
  order by l.at limit ${limit} for update skip locked`

/** The ids of events whose request was a HEAD that is part of a push. Settled HEADs are found for a day, too. */
export const checksBeforePush = (events: readonly string[]): RawBuilder<{ id: string }> => sql<{ id: string }>`
  select l.event_id::text as id from inventory.tag_lookups l
  where l.event_id = any(${events}::uuid[]) and l.method = 'HEAD' and ${isPartOfPush}`

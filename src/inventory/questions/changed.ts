import { sql, type RawBuilder } from 'kysely'
import { isPushOf } from '../model/is-push-of.js'

type Part = RawBuilder<unknown>

/** The tag of a push, its digest, and the newest push of both. */
type Run = { repositoryId: Part; tag: Part; digest: Part; last: Part }

/**
 * The most pushes of one digest, and changes of one tag, that are read to find whether a push changed something: four months
 * with a push each hour. If a digest has more pushes, each push counts as a change. If a tag has a longer run, it points to its
 * digest since the oldest push that is read.
 */
const MOST_PUSHES = 3_000

/**
 * Since when a tag has pointed to a digest without interruption: the first push of the run of equal pushes that ends with
 * `last`. A push of another digest or a delete of the tag ends a run. Computed from inventory.changes at read time, because a
 * push that arrives late may split a run.
 */
const startOfRun = ({ repositoryId, tag, digest, last }: Run, deletedAt: Part): Part => sql`(
  -- All later changes are pushes of the digest. With a condition on the digest, PostgreSQL might use the index on digests, and
  -- read the pushes of all tags.
  select p.at from inventory.changes p
  where p.repository_id = ${repositoryId} and p.tag = ${tag}
    and p.at <= ${last} and p.at > coalesce(greatest(
      (
        select c.at from (
          select at, action, digest, row_number() over (order by at desc) as number from inventory.changes
          where repository_id = ${repositoryId} and tag = ${tag} and at <= ${last}
          order by at desc limit ${MOST_PUSHES + 1}
        ) c
        where c.action <> 'push' or c.digest is distinct from ${digest} or c.number > ${MOST_PUSHES}
        order by c.at desc limit 1
      ),
      case when ${deletedAt} < ${last} then ${deletedAt} end
    ), '-infinity')
  order by p.at limit 1
)`

/**
 * When a push of tag `t`, with manifest `m`, last changed something; if no such push is known, its newest push, else the time
 * when the tag was first seen.
 */
export const tagChangedAt = sql`coalesce(
  case when t.is_pushed_again then ${startOfRun(
    { repositoryId: sql`t.repository_id`, tag: sql`t.name`, digest: sql`t.digest`, last: sql`t.pushed_at` },
    sql`greatest(t.deleted_at, m.deleted_at)`,
  )} end,
  t.pushed_at, t.first_seen_at
)`

/**
 * The most tags that are checked to find whether pushes of one digest changed something. If there are more, each push counts as
 * a change.
 */
const MOST_TAGS = 100

/**
 * When a push of a digest last changed something, by any tag: deleting the digest deletes all its tags. Null if no push by tag
 * is known, or if the digest has more than MOST_TAGS tags or MOST_PUSHES pushes.
 */
const changedByTags = (repositoryId: Part, digest: Part, deletedAt: Part): Part => sql`(
  with pushes as materialized (
    select c.tag, c.at from inventory.changes c
    where c.repository_id = ${repositoryId} and c.tag is not null and ${isPushOf(digest)}
    limit ${MOST_PUSHES + 1}
  ), pushed as materialized (
    select tag, max(at) as last from pushes where (select count(*) <= ${MOST_PUSHES} from pushes) group by tag
  )
  select max(coalesce(${startOfRun(
    { repositoryId, tag: sql`pushed.tag`, digest, last: sql`pushed.last` },
    sql`greatest((
      select deleted_at from inventory.tags where repository_id = ${repositoryId} and name = pushed.tag
    ), ${deletedAt})`,
  )}, pushed.last))
  from pushed where (select count(*) <= ${MOST_TAGS} from pushed)
)`

/**
 * When a push of row `o` of repository_manifests last changed something; if that is unknown, the newest push, by tag or digest;
 * null without a push.
 */
export const digestChangedAt = (o: Part): Part => sql`(
  case when ${o}.pushed_at > ${o}.first_seen_at
    then coalesce(${changedByTags(sql`${o}.repository_id`, sql`${o}.digest`, sql`${o}.deleted_at`)}, ${o}.pushed_at)
    else ${o}.pushed_at end
)`

/** The newest push of tag `t` or its manifest `m`. */
export const imagePushedAt = sql`greatest(t.pushed_at, m.pushed_at)`

/** Whether tag `t` or its manifest `m` was pushed after the tag was first seen: a push that may have changed nothing. */
export const isImagePushedAgain = sql`coalesce(${imagePushedAt} > t.first_seen_at, false)`

/** The part of imageChangedAt that is the same for all tags `t` of one digest with manifest `m`. */
export const imageChangedByTags = changedByTags(sql`t.repository_id`, sql`t.digest`, sql`m.deleted_at`)

/** When a push last changed the digest of tag `t` with manifest `m`. Needs `d.changed_at`, which is imageChangedByTags. */
export const imageChangedAt = sql`(case when ${isImagePushedAgain} then coalesce(d.changed_at, ${imagePushedAt}) else ${imagePushedAt} end)`

import { sql, type RawBuilder } from 'kysely'
import { isPushOf } from '../is-push-of.js'

type Part = RawBuilder<unknown>

/** The tag of a push, the digest, and the newest push of both. */
type Run = { repositoryId: Part; tag: Part; digest: Part; last: Part }

/**
 * Since when a tag has pointed to a digest without a break: the first push of the run of equal pushes that ends with `last`. A
 * push of another digest and a delete of the tag end a run. Computed from inventory.changes at read time, because a push that
 * arrives late may split a run.
 */
const startOfRun = ({ repositoryId, tag, digest, last }: Run, deletedAt: Part): Part => sql`(
  select min(p.at) from inventory.changes p
  where p.repository_id = ${repositoryId} and p.tag = ${tag} and p.action = 'push' and p.digest = ${digest}
    and p.at <= ${last} and p.at > coalesce(greatest(
      (
        select c.at from inventory.changes c
        where c.repository_id = ${repositoryId} and c.tag = ${tag} and c.at <= ${last}
          and (c.action <> 'push' or c.digest is distinct from ${digest})
        order by c.at desc limit 1
      ),
      case when ${deletedAt} < ${last} then ${deletedAt} end
    ), '-infinity')
)`

/**
 * When tag `t`, at manifest `m`, was last pushed so that something changed; where no such push is known, its newest push, else
 * the time the tag was first seen.
 */
export const tagChangedAt = sql`coalesce(
  case when t.is_pushed_again then ${startOfRun(
    { repositoryId: sql`t.repository_id`, tag: sql`t.name`, digest: sql`t.digest`, last: sql`t.pushed_at` },
    sql`greatest(t.deleted_at, m.deleted_at)`,
  )} end,
  t.pushed_at, t.first_seen_at
)`

/** A digest in a repository, its newest push, by a tag or not, and when it was first seen and last deleted. */
type Pushed = { repositoryId: Part; digest: Part; pushedAt: Part; firstSeenAt: Part; deletedAt: Part }

/**
 * When a digest was last pushed so that something changed, by whatever tag: deleting it takes all its tags along. If no push by
 * tag is known, the newest push stands in; null without one.
 */
export const digestChangedAt = ({ repositoryId, digest, pushedAt, firstSeenAt, deletedAt }: Pushed): Part => sql`(
  case when ${pushedAt} > ${firstSeenAt} then coalesce((
    select max(coalesce(${startOfRun(
      { repositoryId, tag: sql`pushed.tag`, digest, last: sql`pushed.last` },
      sql`greatest((
        select deleted_at from inventory.tags where repository_id = ${repositoryId} and name = pushed.tag
      ), ${deletedAt})`,
    )}, pushed.last))
    from (
      select c.tag, max(c.at) as last from inventory.changes c
      where c.repository_id = ${repositoryId} and c.tag is not null and ${isPushOf(digest)}
      group by c.tag
    ) pushed
  ), ${pushedAt}) else ${pushedAt} end
)`

/** The same of what tag `t` points to, manifest `m`. */
export const imageChangedAt = digestChangedAt({
  repositoryId: sql`t.repository_id`,
  digest: sql`t.digest`,
  pushedAt: sql`greatest(t.pushed_at, m.pushed_at)`,
  firstSeenAt: sql`t.first_seen_at`,
  deletedAt: sql`m.deleted_at`,
})

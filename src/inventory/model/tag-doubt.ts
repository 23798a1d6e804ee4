import { sql, type RawBuilder } from 'kysely'
import { isPushOf } from './is-push-of.js'

type Part = RawBuilder<unknown>

/**
 * Pushes of one tag, and requests after a push, have no known order if their times are as close as this. A registry reads the tag at the
 * start of a request and reports the request at its end, so a request that is in flight during a push reports the previous image with a
 * later time than the push. Two pushes at once may be stored in another order than they are reported, and the clocks of two processes of
 * a registry differ. Proxies in front of registries end a request that rests for 60 s.
 */
const SECONDS_OF_DOUBT = 60
export const SPAN_OF_DOUBT = sql.raw(`interval '${SECONDS_OF_DOUBT} seconds'`)

/** Pushes by tag that are read of one manifest, and changes of one tag in the time of doubt. If there are more, there is doubt. */
const MOST_PUSHES = 1_000

/**
 * Whether a doubt about tag `t` has not ended: a reconciliation that began later has stored all tags of the repository, so the tag has a
 * later statement if the registry has the tag.
 * @param since the time of the event that caused the doubt
 */
export const isNotReconciledSince = (since: Part): Part => sql`${since} > coalesce(
  (select reconciled_at from inventory.repositories where id = t.repository_id) - ${SPAN_OF_DOUBT}, '-infinity'
)`
const isNotReconciled = isNotReconciledSince(sql`t.pointed_at`)

/**
 * Whether a live tag may point to manifest `o` of a repository: a push of the manifest by the tag is so close to the last event of the tag
 * that it may be the later one. Only pushes matter: an image that another one replaces was read before, or was pushed. A delete of the
 * manifest that the last event named does not end the doubt. Computed from inventory.changes at read time, because events arrive in any
 * order.
 */
export const mayBeTagged: Part = sql`(
  with pushes as materialized (
    select c.tag, c.at from inventory.changes c
    where c.repository_id = o.repository_id and c.tag is not null and ${isPushOf(sql`o.digest`)}
    limit ${MOST_PUSHES + 1}
  )
  select (select count(*) > ${MOST_PUSHES} from pushes) or exists (
    select from (select tag, max(at) as at from pushes group by tag) pushed cross join lateral (
      select repository_id, live, pointed_at from inventory.tags
      where repository_id = o.repository_id and name = pushed.tag offset 0
    ) t
    where t.live and pushed.at >= t.pointed_at - ${SPAN_OF_DOUBT} and ${isNotReconciled}
  )
)`

/** Changes of live tag `t` that may be later than its last event. */
const CHANGES_IN_DOUBT = sql`inventory.changes c
    where c.repository_id = t.repository_id and c.tag = t.name and c.at >= t.pointed_at - ${SPAN_OF_DOUBT}`

/**
 * Whether live tag `t` may point to another live manifest than `t.digest`, see mayBeTagged. With a condition on the action in the index
 * scan, PostgreSQL might use the index on digests, and read the pushes of all tags.
 */
export const mayPointElsewhere: Part = sql`(
  case when t.pushed_at >= t.pointed_at - ${SPAN_OF_DOUBT} then (
    exists (
      select from (select c.action, c.digest from ${CHANGES_IN_DOUBT} limit ${MOST_PUSHES}) changed
      where changed.action = 'push' and changed.digest <> t.digest and exists (
        select from inventory.repository_manifests o
        where o.repository_id = t.repository_id and o.digest = changed.digest and o.live offset 0
      )
    ) or exists (select from ${CHANGES_IN_DOUBT} offset ${MOST_PUSHES})
  ) and ${isNotReconciled} else false end
)`

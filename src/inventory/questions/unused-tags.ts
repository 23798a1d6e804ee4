import { sql, type RawBuilder } from 'kysely'
import { areEntriesKnownIn, isKnownIn, mediaTypeIn, registryOf } from '../model/known-in.js'
import { isMoving } from '../model/moving.js'
import { mayPointElsewhere } from '../model/tag-doubt.js'
import { isPushUndecided } from '../model/undecided.js'
import { imageChangedAt, imagePushedAt, isImagePushedAgain } from './changed.js'
import { isNeededByIndex } from './index-uses.js'
import { isListedByLive, mayBeIndex } from './indexes-above.js'
import { areLayersRead } from './layer-reads.js'
import type { QueryParameters } from './question.js'
import { IS_CUT, refersToLiveManifest } from './sql-parts.js'
import { hasUsedUnknownIndex } from './used-unknown-indexes.js'
import { ownUse, partsOf } from './uses.js'

type Part = RawBuilder<unknown>

/**
 * Whether tag `t` leads to an index of unknown contents, to an index that no event showed, or to more entries than are read: an
 * image among these entries may be in use.
 */
const hasUnknownParts = sql`(
  coalesce((
    select not ${isKnownIn(sql`c`, registryOf(sql`t.repository_id`))} and ${mayBeIndex(mediaTypeIn(sql`c`, registryOf(sql`t.repository_id`)))}
    from inventory.manifests c where c.digest = t.digest
  ), true)
  or case when not exists (select from inventory.manifest_children where manifest_digest = t.digest) then false else exists (
    ${partsOf(sql`t.digest`)}
    select where ${IS_CUT}
    union all select from parts p
      left join lateral (select * from inventory.manifests where manifests.digest = p.digest offset 0) c on true
    where ${isKnownIn(sql`c`, registryOf(sql`t.repository_id`))} is not true and (
      ${mayBeIndex(sql`coalesce(${mediaTypeIn(sql`c`, registryOf(sql`t.repository_id`))}, p.media_type)`)}
      -- Another registry stated fields of the entries: an image according to that registry may be an index here.
      or exists (
        select from (select t.digest union all select digest from parts) x
          join inventory.manifests l on l.digest = x.digest
        where not (l.stated_by <@ l.completed_by) and not ${areEntriesKnownIn(sql`l`, registryOf(sql`t.repository_id`))}
      )
    )
  ) end
)`

/** Whether tag `t` may point to another image than `t.digest`. */
const mayBeOtherImage = sql`(${mayPointElsewhere} or ${isPushUndecided})`

/**
 * Whether tag `t` may be in use although no request named it. Its own times do not show the entries of an index of unknown
 * contents, requests of an index that lists the image, or uses of the image that a signature belongs to. In a repository that
 * is being moved, the uses of its manifest may be at the other path. A tag that may point to another image may be in use by the digest
 * of that image. `d` has the values that depend only on the digest, see IS_DIGEST_USED_ELSEWHERE.
 */
export const mayBeUsedElsewhere = sql`(
  ${isMoving(sql`t.repository_id`)} or d.may_be_used or ${refersToLiveManifest} or ${mayBeOtherImage}
)`

/** The part of mayBeUsedElsewhere that is the same for all tags of a digest. */
export const IS_DIGEST_USED_ELSEWHERE = sql`(${hasUnknownParts} or ${isListedByLive(sql`t.repository_id`, sql`t.digest`)})`

/** A cheap condition that tag `t` with manifest `m` is unused. It reads little more than these two rows. */
export const looksUnusedSince = (moment: Part, query: QueryParameters): Part => sql`
  not ${isMoving(sql`t.repository_id`)}
  and ${query.without_kind === undefined ? sql`coalesce(${ownUse} < ${moment}, true)` : sql`true`}
  and (${isImagePushedAgain} or coalesce(${imagePushedAt} < ${moment}, true))
  and not ${refersToLiveManifest}`

/**
 * Whether tag `t`, which looks unused, was not used since a moment, neither by itself nor through an index, and no push changed
 * it. Conditions that read no uses come first. A tag that may be in use is not unused. `d` has the values that depend only on
 * the digest, see mayDigestBeUsedSince.
 */
export const unusedSince = (moment: Part, query: QueryParameters): Part => sql`
  coalesce(${imageChangedAt} < ${moment}, true)
  and case when coalesce(t.pushed_at, m.pushed_at, u.used_at) is null then t.first_seen_at < ${moment}
    else coalesce(u.used_at < ${moment}, true) end
  and not d.may_be_used and not ${hasUsedUnknownIndex(query)} and not ${mayBeOtherImage}`

/**
 * The part of unusedSince that is the same for all tags of a digest. Uses of parts come first, because they take the least
 * work.
 */
export const mayDigestBeUsedSince = (moment: Part, query: QueryParameters): Part => sql`(
  ${query.without_kind === undefined ? sql`coalesce(t.times[2] >= ${moment}, false)` : sql`false`}
  or ${hasUnknownParts} or ${isNeededByIndex(sql`t.repository_id`, sql`t.digest`, moment, query)}
  or ${areLayersRead(sql`t.repository_id`, sql`t.digest`)}
)`

/**
 * Conditions that find unused tags in the order of `active_on`: tags whose day is older, and tags whose newest push may have
 * changed nothing. Uses by kinds that do not count change the day, too, so with `without_kind` all days are read.
 */
export const unusedScans = (moment: Part, { without_kind }: QueryParameters): Part[] => {
  const day = sql`(${moment} at time zone 'UTC')::date`
  return without_kind === undefined
    ? [sql`t.active_on <= ${day}`, sql`t.is_pushed_again and t.active_on > ${day}`]
    : [sql`true`]
}

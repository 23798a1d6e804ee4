import { sql, type RawBuilder } from 'kysely'
import { isLiveTag } from './is-live-tag.js'

type Part = RawBuilder<unknown>

/**
 * Which requests of unknown objects matter to a query: those since a time (ISO 8601); and, for unreferenced objects, whether it
 * is known where each tag points to.
 */
export type Undecided = { since: string; isOfTags: boolean }

/**
 * Whether it is unknown what tag `t` with manifest `m` points to: the newest event about the tag has no digest, and the tag was
 * deleted or unknown before, or the event pushed it.
 */
const pointsAnywhere: Part = sql`(
  t.undecided_at > coalesce(greatest(t.pointed_at, t.deleted_at, m.deleted_at), '-infinity')
  and (${isLiveTag(sql`greatest(t.deleted_at, m.deleted_at)`)} is not true or t.pushed_at > t.pointed_at)
)`

/** Whether an event that does not show its object may be about any manifest or blob of repository `x`. */
export const mayUseAnything = (x: Part, { since, isOfTags }: Undecided): Part => sql`(
  coalesce(${x}.undecided_at >= ${since}::timestamptz, false)
  or ${
    isOfTags
      ? sql`exists (
    select from inventory.tags t
      left join inventory.repository_manifests m on m.repository_id = t.repository_id and m.digest = t.digest
    where t.repository_id = ${x}.id and t.undecided_at is not null and ${pointsAnywhere}
  )`
      : sql`false`
  }
)`

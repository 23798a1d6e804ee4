import { sql, type RawBuilder } from 'kysely'
import { isLiveTag } from './is-live-tag.js'
import { isNotReconciledSince, SPAN_OF_DOUBT } from './tag-doubt.js'

type Part = RawBuilder<unknown>

/**
 * Which requests of unknown objects matter to a query: those since a time (ISO 8601); and, for unreferenced objects, whether it
 * is known where each tag points to.
 */
export type Undecided = { since: string; isOfTags: boolean }

const isNotReconciled = isNotReconciledSince(sql`t.undecided_at`)

/**
 * Whether a push without a digest may have moved live tag `t` to another manifest. Such a push sets `pushed_at` alone. As in tag-doubt.ts,
 * a request that reports a digest shortly after it may have read the tag before it.
 */
export const isPushUndecided: Part = sql`coalesce(
  t.undecided_at >= t.pointed_at - ${SPAN_OF_DOUBT} and t.pushed_at >= t.pointed_at - ${SPAN_OF_DOUBT}
  and t.pushed_at <> t.pointed_at and ${isNotReconciled}, false
)`

/**
 * Whether it is unknown what tag `t` with manifest `m` points to: the newest event about the tag has no digest, and the tag was
 * deleted or unknown before, or the event may have pushed it.
 */
const pointsAnywhere: Part = sql`(
  ${isPushUndecided} or (
    t.undecided_at >= coalesce(greatest(t.pointed_at, t.deleted_at, m.deleted_at) - ${SPAN_OF_DOUBT}, '-infinity')
    and ${isLiveTag(sql`greatest(t.deleted_at, m.deleted_at)`)} is not true and ${isNotReconciled}
  )
)`

type IdsOf = (undecided: Undecided, isMeant: (id: Part) => Part) => Part

/** The ids of repositories in which an event that does not show its object may be about any manifest or blob. */
export const withUnknownRequests: IdsOf = ({ since, isOfTags }, isMeant) => {
  const used = sql`select id from inventory.repositories where undecided_at >= ${since}::timestamptz and ${isMeant(sql`id`)}`
  return isOfTags
    ? sql`(
    ${used} union
    select t.repository_id from inventory.tags t
      left join inventory.repository_manifests m on m.repository_id = t.repository_id and m.digest = t.digest
    where t.undecided_at is not null and ${pointsAnywhere} and ${isMeant(sql`t.repository_id`)}
  )`
    : sql`(${used})`
}

/** The ids of repositories that a set-aside event may have used; or changed, if no reconciliation has stored all tags since. */
export const withSetAsideEvents: IdsOf = ({ since, isOfTags }, isMeant) => sql`(
    select r.id from inventory.set_aside_events s join inventory.repositories r on r.registry = s.registry and r.name = s.name
    where (s.arrived_at >= ${since}::timestamptz
        ${isOfTags ? sql`or s.changed_at > coalesce(r.reconciled_at - ${SPAN_OF_DOUBT}, '-infinity')` : sql``})
      and ${isMeant(sql`r.id`)}
  )`

/**
 * The ids of repositories of which everything may be in use. A statement computes them once.
 * @param isMeant a condition on the id of a repository
 */
export const undecidedRepositories: IdsOf = (undecided, isMeant) =>
  sql`(${withUnknownRequests(undecided, isMeant)} union ${withSetAsideEvents(undecided, isMeant)})`

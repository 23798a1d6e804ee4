import { sql, type RawBuilder } from 'kysely'
import { CLIENT_KINDS } from '../../events/client-kinds.js'
import { mayHavePendingCheck, newestPendingCheck } from '../record/check-before-push.js'
import { digestChangedAt, imageChangedAt } from './changed.js'
import { indexesAbove, mayBeIndex, unknownIndexes } from './indexes-above.js'
import type { Asked, Parameter } from './question.js'
import { isIndexType, refersToLiveManifest } from './sql-parts.js'

type Part = RawBuilder<unknown>

/** The newest check of a manifest `o` in a repository, also one that is not settled yet. */
const checkedAt = (
  o: Part,
): Part => sql`greatest(${o}.checked_at, case when ${mayHavePendingCheck(sql`${o}.seen_at`)} then
  ${newestPendingCheck(sql`l.repository_id = ${o}.repository_id and l.digest = ${o}.digest`)} end)`

/** The newest check of tag `t` by its name, also one that is not settled yet. */
export const tagCheckedAt = sql`greatest(t.checked_at, case when ${mayHavePendingCheck(sql`t.pointed_at`)} then
  ${newestPendingCheck(sql`l.repository_id = t.repository_id and l.tag = t.name`)} end)`

/** Digests of all that an index lists, and what the indexes among that list. */
export const partsOf = (digest: Part): Part => sql`
  with recursive parts (digest, media_type) as (
    select digest, media_type from inventory.manifest_children where manifest_digest = ${digest}
    union
    select c.digest, c.media_type from parts join inventory.manifest_children c on c.manifest_digest = parts.digest
    where parts.media_type is null or ${isIndexType(sql`parts.media_type`)}
  )`

/** The newest pull, and the newest pull or check, of what an index lists: an array of two, null without any. */
const usesOfParts = (repositoryId: Part, digest: Part): Part => sql`(
  case when exists (select from inventory.manifest_children where manifest_digest = ${digest}) then (
    ${partsOf(digest)}
    select array[max(o.pulled_at), max(greatest(o.pulled_at, ${checkedAt(sql`o`)}))]
    from parts cross join lateral (
      select * from inventory.repository_manifests
      where repository_id = ${repositoryId} and repository_manifests.digest = parts.digest offset 0
    ) o
  ) end
)`

/** The newest pull or check of a manifest `o` in a repository: of its own, and, of an index, of what it lists. */
export const manifestRequestedAt = sql`greatest(o.pulled_at, ${checkedAt(sql`o`)},
  (${usesOfParts(sql`o.repository_id`, sql`o.digest`)})[2])`

/** The same, or the newest push. */
export const manifestUsedAt = sql`greatest(o.pushed_at, ${manifestRequestedAt})`

/** Whether tag `t` or its manifest `m` was asked for by itself: a first look, which reads nothing more. */
export const ownUse = sql`greatest(t.pulled_at, t.checked_at, m.pulled_at, m.checked_at)`

const WITHOUT_KIND: Parameter = {
  kind: 'choices',
  choices: [...CLIENT_KINDS, 'unknown'],
  help: `uses by these kinds of clients do not count: a list of ${CLIENT_KINDS.join(', ')} or unknown, as scanner,mirror,updater`,
}
export const WITHOUT =
  'With without_kind, uses by these kinds of clients do not count. A use whose kind is not known counts: of requests of the last minutes, and of all before kinds_known_since, which is the newest time that such a use can have; empty if all kinds are known.'
/** Of questions that tell what is in use. */
export const USED_BY = { without_kind: WITHOUT_KIND } as const
/** The column that an answer to it has beside the others. */
export const KNOWN_SINCE = { without_kind: { kinds_known_since: 'time' } } as const

/** Whether a kind is none of those that do not count. */
export const isOfOtherKind = (kind: Part, { without_kind }: Asked): Part =>
  without_kind === undefined ? sql`true` : sql`not (${kind} = any(${without_kind.split(',')}::text[]))`

/**
 * When tag `t` with manifest `m` was used and pulled last, as `used_at` and `pulled_at`: a lateral part that is computed for rows
 * that pass the cheaper conditions. `kinds_known_since` is null if the kind of every use is known, or is not asked for.
 */
export const usesOf = ({ without_kind }: Asked): Part => {
  const all = sql`
    select greatest(${ownUse}, ${tagCheckedAt}, ${checkedAt(sql`m`)}, parts.times[2]) as used_at,
      greatest(t.pulled_at, m.pulled_at, parts.times[1]) as pulled_at
    from (select ${usesOfParts(sql`t.repository_id`, sql`t.digest`)} as times offset 0) parts`
  return usesWithout(all, {
    without_kind,
    repositoryId: sql`t.repository_id`,
    references: sql`array[t.name, t.digest] || array(${partsOf(sql`t.digest`)} select digest from parts)`,
    firstSeenAt: sql`t.first_seen_at`,
    movedAt: sql`greatest(t.moved_at, m.moved_at)`,
  })
}

type Used = {
  without_kind: string | undefined
  repositoryId: Part
  /** Tags and digests under which uses are recorded: an array of text. */
  references: Part
  firstSeenAt: Part
  movedAt: Part
}

/**
 * The same without the uses of some kinds. What another kind used last is recorded by tag and digest. A use that no kind explains
 * (its request was not folded yet) counts, and so does one that may have been before kinds were known: of those the newest
 * possible time.
 * @param all a query of `used_at` and `pulled_at`, those of all kinds.
 */
const usesWithout = (all: Part, { without_kind, repositoryId, references, firstSeenAt, movedAt }: Used): Part => {
  if (without_kind === undefined)
    return sql`(select used_at, pulled_at, null::timestamptz as kinds_known_since from (${all}) u offset 0)`
  const isOther = isOfOtherKind(sql`l.kind`, { without_kind })
  const unexplained = (
    time: string,
  ): Part => sql`case when u.${sql.ref(time)} > coalesce(by.${sql.ref(`any_${time}`)}, '-infinity')
    then u.${sql.ref(time)} end, case when known.since is not null and u.${sql.ref(time)} is not null then least(u.${sql.ref(time)}, known.since) end`
  return sql`(
    select greatest(by.used_at, ${unexplained('used_at')}) as used_at,
      greatest(by.pulled_at, ${unexplained('pulled_at')}) as pulled_at, known.since as kinds_known_since
    from (${all}) u
      cross join lateral (
        select max(l.used_at) as any_used_at, max(l.pulled_at) as any_pulled_at,
          max(l.used_at) filter (where ${isOther}) as used_at, max(l.pulled_at) filter (where ${isOther}) as pulled_at
        from pulls.last_uses l
          join inventory.repositories r on l.registry = r.registry and l.repository = r.name
        where r.id = ${repositoryId} and l.reference = any(${references})
      ) by
      cross join lateral (
        select case when since > coalesce(${firstSeenAt}, '-infinity') then since end as since
        from (select greatest(from_at, ${movedAt}) as since from pulls.kinds_known) k
      ) known
    offset 0
  )`
}

/**
 * Whether somebody asked for an index since a moment, or a push changed what it is: `i`, a row of repository_manifests. The kinds of
 * clients that do not count are left out. What its own times do not say is not unused.
 */
const wasIndexUsed = (moment: Part, { without_kind }: Asked): Part => sql`(
  select case when i.pushed_at is null and u.used_at is null then coalesce(i.first_seen_at >= ${moment}, true)
    when u.used_at >= ${moment} then true
    when i.pushed_at >= ${moment} then ${digestChangedAt({
      repositoryId: sql`i.repository_id`,
      digest: sql`i.digest`,
      pushedAt: sql`i.pushed_at`,
      firstSeenAt: sql`i.first_seen_at`,
      deletedAt: sql`i.deleted_at`,
    })} >= ${moment}
    else false end
  from ${usesWithout(sql`select greatest(i.pulled_at, ${checkedAt(sql`i`)}) as used_at, i.pulled_at`, {
    without_kind,
    repositoryId: sql`i.repository_id`,
    references: sql`array[i.digest]`,
    firstSeenAt: sql`i.first_seen_at`,
    movedAt: sql`i.moved_at`,
  })} u
)`

/**
 * Whether an index that lists a manifest, directly or through others, was used since a moment: the index needs all that it lists.
 * A use of another image that the index lists is none.
 */
const isNeededByIndex = (repositoryId: Part, digest: Part, moment: Part, asked: Asked): Part => sql`case
  when not exists (select from inventory.manifest_children where manifest_children.digest = ${digest}) then false
  else exists (
    ${indexesAbove(repositoryId, digest)}
    select from above cross join lateral (
      select * from inventory.repository_manifests o
      where o.repository_id = ${repositoryId} and o.digest = above.digest and o.live offset 0
    ) i where ${wasIndexUsed(moment, asked)}
  ) end`

/**
 * Whether the repository of tag `t` has an index of unknown contents that was used since a moment: it may list any image there. The
 * repositories are found once for all rows.
 */
const hasUsedUnknownIndex = (moment: Part, asked: Asked): Part => sql`t.repository_id = any(array(
  select i.repository_id from ${unknownIndexes(asked)} x
    join inventory.repository_manifests i on i.repository_id = x.repository_id and i.digest = x.digest
  where ${wasIndexUsed(moment, asked)} or ${isNeededByIndex(sql`i.repository_id`, sql`i.digest`, moment, asked)}
))`

/**
 * Whether tag `t` leads to an index whose contents are not known, or that no event showed: somebody may use an image that it
 * lists.
 */
const hasUnknownParts = sql`exists (
  ${partsOf(sql`t.digest`)}
  select from (select t.digest, null as media_type union all select digest, media_type from parts) p
    left join lateral (select * from inventory.manifests where manifests.digest = p.digest offset 0) c on true
  where c.contents_known is not true and ${mayBeIndex(sql`coalesce(c.media_type, p.media_type)`)}
)`

/**
 * Whether nothing used tag `t` since a moment, neither by itself nor through an index, and no push changed it: the parts that read no
 * uses, and those that do. What may be in use is not unused.
 */
export const unusedSince = (moment: Part, asked: Asked): Part => sql`
  ${asked.without_kind === undefined ? sql`coalesce(${ownUse} < ${moment}, true)` : sql`true`}
  and case when greatest(t.pushed_at, m.pushed_at) < ${moment} then true else coalesce(${imageChangedAt} < ${moment}, true) end
  and case when coalesce(t.pushed_at, m.pushed_at, u.used_at) is null then t.first_seen_at < ${moment}
    else coalesce(u.used_at < ${moment}, true) end
  and not ${hasUnknownParts} and not ${refersToLiveManifest} and not ${hasUsedUnknownIndex(moment, asked)}
  and not ${isNeededByIndex(sql`t.repository_id`, sql`t.digest`, moment, asked)}`

/**
 * Where tags that nothing used since a moment are found in the order of `active_on`: those whose day is older, and those whose
 * newest push may have changed nothing. Uses by kinds that do not count make any day newer, so without these all days are read.
 */
export const unusedScans = (moment: Part, { without_kind }: Asked): Part[] => {
  const day = sql`(${moment} at time zone 'UTC')::date`
  return without_kind === undefined
    ? [sql`t.active_on <= ${day}`, sql`t.is_pushed_again and t.active_on > ${day}`]
    : [sql`true`]
}

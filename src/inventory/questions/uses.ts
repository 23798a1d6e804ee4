import { sql, type RawBuilder } from 'kysely'
import { CLIENT_KINDS } from '../../events/client-kinds.js'
import { mayHavePendingCheck, newestPendingCheck, newestPendingHead } from '../record/check-before-push.js'
import type { QueryParameters, Parameter } from './question.js'
import { DEEPEST, IS_CUT, MOST_FOLLOWED } from './sql-parts.js'

type Part = RawBuilder<unknown>

const manifestCheckedAt = (o: Part, newestPending: (which: Part) => Part): Part => sql`greatest(
  ${o}.checked_at,
  case when ${mayHavePendingCheck(sql`${o}.seen_at`)} then
    ${newestPending(sql`l.repository_id = ${o}.repository_id and l.digest = ${o}.digest`)} end
)`

/** The newest check of a manifest `o` in a repository, including checks that are not settled. */
const checkedAt = (o: Part): Part => manifestCheckedAt(o, newestPendingCheck)

/**
 * As checkedAt, for manifests of which many may belong to one row: every HEAD that is not settled counts, even if it is part of
 * a push.
 */
export const headAt = (o: Part): Part => manifestCheckedAt(o, newestPendingHead)

/** The newest check of tag `t` by its name, including checks that are not settled. */
export const tagCheckedAt = sql`greatest(t.checked_at, case when ${mayHavePendingCheck(sql`t.pointed_at`)} then
  ${newestPendingCheck(sql`l.repository_id = t.repository_id and l.tag = t.name`)} end)`

/**
 * The start of a query of `parts (digest, media_type)`: everything that an index lists, directly or through other indexes, at
 * most MOST_FOLLOWED entries down to the level DEEPEST. An image according to another registry may list manifests, too. If
 * there is more, `followed` has one more entry, or one of the next level: see IS_CUT.
 */
export const partsOf = (digest: Part): Part => sql`
  with recursive listed (digest, media_type, level) as (
    select digest, media_type, 1 from inventory.manifest_children where manifest_digest = ${digest}
    union all
    select c.digest, c.media_type, level + 1 from listed cross join lateral (
      select digest, media_type from inventory.manifest_children where manifest_digest = listed.digest offset 0
    ) c
    where level <= ${DEEPEST}
  ), followed as materialized (
    select digest, media_type, level from listed limit ${MOST_FOLLOWED + 1}
  ), parts as (select digest, media_type from followed)`

/** Whether an index leads to more than `partsOf` reads: then its users, and whether its contents are known, are unknown. */
export const hasTooManyParts = (digest: Part): Part => sql`(${partsOf(digest)} select ${IS_CUT})`

/** The newest pull, and the newest pull or check, of the entries of an index: an array of two; null without entries. */
export const usesOfParts = (repositoryId: Part, digest: Part): Part => sql`(
  case when exists (select from inventory.manifest_children where manifest_digest = ${digest}) then (
    ${partsOf(digest)}
    select array[max(o.pulled_at), max(greatest(o.pulled_at, ${headAt(sql`o`)}))]
    from parts cross join lateral (
      select * from inventory.repository_manifests
      where repository_id = ${repositoryId} and repository_manifests.digest = parts.digest offset 0
    ) o
  ) end
)`

/** The newest pull or check of a manifest `o` in a repository, including pulls and checks of the entries of an index. */
export const manifestRequestedAt = sql`greatest(o.pulled_at, ${checkedAt(sql`o`)},
  (${usesOfParts(sql`o.repository_id`, sql`o.digest`)})[2])`

/** The newest push, pull or check of a manifest `o`. */
export const manifestUsedAt = sql`greatest(o.pushed_at, ${manifestRequestedAt})`

/** The newest request of tag `t` or its manifest `m` by name or digest: a first look that reads no further rows. */
export const ownUse = sql`greatest(t.pulled_at, t.checked_at, m.pulled_at, m.checked_at)`

const WITHOUT_KIND: Parameter = {
  kind: 'choices',
  choices: [...CLIENT_KINDS, 'unknown'],
  help: `uses by these kinds of clients do not count: a list of ${CLIENT_KINDS.join(', ')} or unknown, such as scanner,mirror,updater`,
}
export const WITHOUT =
  'With without_kind, uses by these kinds of clients do not count. A use of unknown kind counts: the kind is unknown for requests of the last minutes, and for all uses before kinds_known_since. kinds_known_since is empty if all kinds are known.'
/** The parameters of questions about what is in use. */
export const USED_BY = { without_kind: WITHOUT_KIND } as const
/** The column that an answer has in addition if `without_kind` is given. */
export const KNOWN_SINCE = { without_kind: { kinds_known_since: 'time' } } as const

/** Whether a kind of client counts. */
export const isOfOtherKind = (kind: Part, { without_kind }: QueryParameters): Part =>
  without_kind === undefined ? sql`true` : sql`not (${kind} = any(${without_kind.split(',')}::text[]))`

/** A digest and everything that it leads to, as far as it is read, as an array of text. */
export const withParts = (digest: Part): Part =>
  sql`(array[${digest}] || array(${partsOf(digest)} select digest from parts))`

/**
 * When tag `t` with manifest `m` was last used and pulled, as `used_at` and `pulled_at`: a lateral part, which is computed only
 * for rows that meet the cheaper conditions. `kinds_known_since` is null if the kind of every use is known, or kinds do not
 * matter. `d` has the values that depend only on the digest: `times` of usesOfParts and, with `without_kind`, `by_digest` of
 * latestUses.
 */
export const usesOf = (query: QueryParameters): Part => {
  const all = sql`
    select greatest(${ownUse}, ${tagCheckedAt}, ${checkedAt(sql`m`)}, d.times[2]) as used_at,
      greatest(t.pulled_at, m.pulled_at, d.times[1]) as pulled_at`
  return usesWithout(all, {
    without_kind: query.without_kind,
    repositoryId: sql`t.repository_id`,
    latest: [latestUses(sql`t.repository_id`, sql`array[t.name]`, query), sql`d.by_digest`],
    firstSeenAt: sql`t.first_seen_at`,
    movedAt: sql`greatest(t.moved_at, m.moved_at)`,
  })
}

type Used = {
  without_kind: string | undefined
  repositoryId: Part
  /** The newest uses by kind, each from `latestUses`. */
  latest: readonly Part[]
  firstSeenAt: Part
  movedAt: Part
}

/**
 * The newest request under an alias of the registry that is not folded yet. Requests of the registry itself are folded in their
 * order; requests under an alias may be older than folded ones.
 */
const newestPendingOfAlias = (repositoryId: Part): Part => sql`(
  select max(p.at)
  from inventory.repositories r join inventory.registry_aliases a on a.name = r.registry
    cross join lateral (select at from pulls.pending where registry = a.alias order by at desc limit 1) p
  where r.id = ${repositoryId}
)`

/**
 * The newest use and the newest pull by clients of any known kind, and the same by kinds that count: an array of four.
 * @param references tags and digests under which uses are recorded: an array of text
 */
export const latestUses = (repositoryId: Part, references: Part, query: QueryParameters): Part => {
  const isOther = isOfOtherKind(sql`l.kind`, query)
  return sql`(
    select array[max(l.used_at), max(l.pulled_at), max(l.used_at) filter (where ${isOther}), max(l.pulled_at) filter (where ${isOther})]
    from pulls.last_uses l
      join inventory.repositories r on l.repository = r.name and l.registry = any(array(
        select r.registry union all select alias from inventory.registry_aliases where name = r.registry
      ))
    where r.id = ${repositoryId} and l.reference = any(${references})
  )`
}

/**
 * The newest use and pull without the uses of some kinds. Uses are recorded by kind under tags and digests. A use without a
 * known kind counts: its request is not folded yet. So does a use that may be from before kinds were known, with its latest
 * possible time.
 * @param all a query of `used_at` and `pulled_at` of all kinds.
 */
export const usesWithout = (all: Part, { without_kind, repositoryId, latest, firstSeenAt, movedAt }: Used): Part => {
  if (without_kind === undefined)
    return sql`(select used_at, pulled_at, null::timestamptz as kinds_known_since from (${all}) u offset 0)`
  const newest = (index: number): Part =>
    sql`greatest(${sql.join(latest.map((_, i) => sql`${sql.ref(`l.uses_${i}`)}[${sql.lit(index)}]`))})`
  const unexplained = (
    time: string,
  ): Part => sql`case when u.${sql.ref(time)} > coalesce(by.${sql.ref(`any_${time}`)}, '-infinity')
    then u.${sql.ref(time)} end, case when known.since is not null and u.${sql.ref(time)} is not null then least(u.${sql.ref(time)}, known.since) end`
  return sql`(
    select greatest(by.used_at, ${unexplained('used_at')}) as used_at,
      greatest(by.pulled_at, ${unexplained('pulled_at')}) as pulled_at, known.since as kinds_known_since
    from (${all}) u
      cross join lateral (
        select ${newest(1)} as any_used_at, ${newest(2)} as any_pulled_at, ${newest(3)} as used_at, ${newest(4)} as pulled_at
        from (select ${sql.join(latest.map((uses, i) => sql`${uses} as ${sql.ref(`uses_${i}`)}`))} offset 0) l
      ) by
      cross join lateral (
        select case when since > coalesce(${firstSeenAt}, '-infinity') then since end as since
        from (
          select greatest(from_at, ${movedAt}, ${newestPendingOfAlias(repositoryId)}) as since from pulls.kinds_known
        ) k
      ) known
    offset 0
  )`
}

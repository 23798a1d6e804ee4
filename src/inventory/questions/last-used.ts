import { sql, type RawBuilder } from 'kysely'
import { isKnownIn } from '../known-in.js'
import { tagChangedAt } from './changed.js'
import { PUSHED, REFERRERS, SIZE, UNKNOWN_PARTS } from './images.js'
import { IS_PUSH_UNKNOWN } from './notes.js'
import { PLACE, type Asked, type Page, type Question } from './question.js'
import { behind, iso, manifestOf, oneAfterTheOther, placedIn, wholeSize } from './sql-parts.js'
import { mayBeUsedElsewhere, unusedScans, unusedSince } from './unused-tags.js'
import { isOfOtherKind, KNOWN_SINCE, ownUse, partsOf, USED_BY, usesOf, WITHOUT } from './uses.js'

/** No invocation goes on for longer (pulls/fold/state.ts), so one that began earlier did not use a tag last. */
const LONGEST_INVOCATION = sql`interval '1 hour'`

/** What is asked of an outcome, settled or not. */
const OUTCOME = sql.raw('registry, repository, at, id, what, tag, digest, client, kind')

/**
 * The kind of client whose settled use is the last one, by its time: an outcome has the time of its first request alone, and the
 * outcome of the last use may be erased or not settled.
 */
const kindOfLastUse = (asked: Asked): RawBuilder<unknown> => sql`
  select l.kind from pulls.last_uses l
  where l.repository = r.name and l.used_at = t.last_used and ${isOfOtherKind(sql`l.kind`, asked)}
    and l.registry = any(array(select r.registry union all select alias from inventory.registry_aliases where name = r.registry))
    and l.reference = any(array[t.name, t.digest] || array(${partsOf(sql`t.digest`)} select digest from parts))
  order by l.kind limit 1`

/** The same as `is not null`, of which PostgreSQL believes that it holds for nearly all rows, and sorts them all. */
const isKnown = (moment: RawBuilder<unknown>): RawBuilder<unknown> => sql`(${moment} >= '-infinity')`

/** Never used, used, and those that may be in use although their times do not say so. */
const [NEVER_USED, USED, NOT_KNOWN] = [0, 1, 2] as const
type Group = typeof NEVER_USED | typeof USED | typeof NOT_KNOWN

/**
 * The next tags of a group, in the order of the day, which has an index: groups are read until the page is full, and one sort of
 * all tags would be read for each page.
 */
const tagsOf = (group: Group, asked: Asked, { limit }: Page, after: Page['after']): RawBuilder<unknown>[] => {
  const moment = sql`${asked.unused_for}::timestamptz`
  const scans = asked.unused_for === undefined ? [sql`true`] : unusedScans(moment, asked)
  const isIn = {
    [NEVER_USED]: sql`(${isKnown(ownUse)} is not true or ${asked.without_kind !== undefined})
      and ${isKnown(sql`u.used_at`)} is not true`,
    [USED]: sql`${isKnown(sql`u.used_at`)} is true`,
    [NOT_KNOWN]: sql`true`,
  }[group]
  const isCertain =
    asked.unused_for === undefined
      ? sql`${mayBeUsedElsewhere} is ${group === NOT_KNOWN ? sql`true` : sql`not true`}`
      : unusedSince(moment, asked)
  return scans.map(
    (scan) => sql`
  select ${group}::int as is_used, t.active_on, t.repository_id, t.name, t.digest, ${tagChangedAt} as pushed,
    t.pushed_at is null as ${sql.ref(IS_PUSH_UNKNOWN)},
    u.used_at as last_used, u.pulled_at as last_pulled, u.kinds_known_since
  from inventory.tags t
    left join lateral ${manifestOf} m on true
    cross join lateral ${usesOf(asked)} u
  where t.live and t.pointed_at > coalesce(m.deleted_at, '-infinity') and ${scan} and ${isIn} and ${isCertain}
    and ${placedIn(sql`t.repository_id`, asked)} and ${behind('>', after, [
      [sql`t.active_on`, 'date'],
      [sql`t.repository_id`, 'int'],
      [sql`t.name`, 'text'],
    ])}
  order by t.active_on, t.repository_id, t.name
  limit ${limit}`,
  )
}

/** With `unused_for`, tags that may be in use are in no group. */
const pageOf = (asked: Asked, page: Page): RawBuilder<unknown> => {
  const [first = NEVER_USED, ...rest] = page.after ?? []
  const last = asked.unused_for === undefined ? NOT_KNOWN : USED
  const scans = [NEVER_USED, USED, NOT_KNOWN]
    .filter((group) => group <= last && group >= Math.min(Number(first), last))
    .flatMap((group) => tagsOf(group, asked, page, page.after && group === first ? rest : undefined))
  return oneAfterTheOther(scans, page.limit)
}

export const lastUsed: Question = {
  name: 'last-used',
  answers:
    'Every live tag with when it was used last, for tools that clean up: never used ones first, then by the day, last those that may be in use all the same.',
  definition: `last_used_at is the newest pull or check (HEAD) of the tag, of the manifest it points to, or of an image that this index lists, by tag or by digest; empty where none is known. A check counts: clients that find an image unchanged do not pull it. A HEAD is no check if the same client (address, user agent, user) pushed the tag within 15 minutes. last_pulled_at is the newest pull alone. Days are UTC, of the last use or push of the tag itself. Last come the tags of which last_used_at does not say all: indexes whose contents are not known, images that a live index lists, and referrers (sha256-…) of what is there. unused_for leaves out what was pushed since, too, unless the push changed nothing. With unused_for: ${REFERRERS} ${UNKNOWN_PARTS} ${PUSHED} client and kind are of the last use; client is empty if no invocation of that kind is kept, kind if it is not known. ${WITHOUT} ${SIZE}`,
  parameters: {
    unused_for: {
      kind: 'age',
      help: 'only what was neither used nor pushed since: an age as 90d, 12w, 6m or 1y, or a day as 2026-05-21',
    },
    ...USED_BY,
    ...PLACE,
  },
  columns: {
    registry: 'text',
    repository: 'text',
    tag: 'text',
    digest: 'text',
    size: 'bytes',
    pushed_at: 'time',
    last_used_at: 'time',
    last_pulled_at: 'time',
    client: 'text',
    kind: 'text',
  },
  columnsWith: KNOWN_SINCE,
  key: ['id', 'day', 'id', 'text'],
  statement: (asked, page) => sql`
    select r.registry, r.name as repository, t.name as tag, t.digest,
      case when ${isKnownIn(sql`m`, sql`r.registry`)} then ${wholeSize(sql`t.digest`)} end as size, ${iso(sql`t.pushed`)} as pushed_at,
      ${iso(sql`t.last_used`)} as last_used_at, ${iso(sql`t.last_pulled`)} as last_pulled_at, o.client,
      coalesce(used_by.kind, o.kind) as kind, ${iso(sql`t.kinds_known_since`)} as kinds_known_since,
      t.${sql.ref(IS_PUSH_UNKNOWN)}, jsonb_build_array(t.is_used, t.active_on, t.repository_id, t.name) as key
    from (
      select * from (${pageOf(asked, page)}) found order by is_used, active_on, repository_id, name limit ${page.limit}
    ) t
      join inventory.repositories r on r.id = t.repository_id
      left join inventory.manifests m on m.digest = t.digest
      left join lateral (${kindOfLastUse(asked)}) used_by on true
      left join lateral (
        select o.client, o.kind from (
          select ${OUTCOME}, true as is_settled from pulls.outcomes
          union all select ${OUTCOME}, false from provisional.outcomes
        ) o
        where o.registry = r.registry and o.repository = r.name and o.what = 'invocation'
          and o.at between t.last_used - ${LONGEST_INVOCATION} and t.last_used
          and (o.tag = t.name or o.digest = any(array[t.digest] || array(${partsOf(sql`t.digest`)} select digest from parts)))
          and (o.kind = used_by.kind or used_by.kind is null and not o.is_settled and ${isOfOtherKind(sql`o.kind`, asked)})
        order by o.at desc, o.id limit 1
      ) o on true
    order by t.is_used, t.active_on, t.repository_id, t.name`,
}

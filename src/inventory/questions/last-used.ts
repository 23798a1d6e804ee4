import { sql, type RawBuilder } from 'kysely'
import { tagChangedAt } from './changed.js'
import { PUSHED, REFERRERS, SIZE, UNKNOWN_PARTS } from './images.js'
import { IS_PUSH_UNKNOWN } from './notes.js'
import {
  REPOSITORY_FILTER,
  type QueryParameters,
  type Key,
  type Page,
  type PortionSize,
  type Question,
} from './question.js'
import { between, manifestOf, wholeSizeIfKnown } from './sql-parts.js'
import { chosenTags, endOfTags, type WantedTags } from './tag-portions.js'
import {
  IS_DIGEST_USED_ELSEWHERE,
  looksUnusedSince,
  mayBeUsedElsewhere,
  mayDigestBeUsedSince,
  unusedScans,
  unusedSince,
} from './unused-tags.js'
import { withUsedUnknownIndexes } from './used-unknown-indexes.js'
import { isOfOtherKind, KNOWN_SINCE, ownUse, USED_BY, usesOf, WITHOUT, withParts } from './uses.js'
import { isoText } from '../../storage/sql/moments.js'

/** The longest invocation (pulls/fold/state.ts). An invocation that began earlier cannot be the last use of a tag. */
const LONGEST_INVOCATION = sql`interval '1 hour'`

/** Columns of an outcome, settled or not. */
const OUTCOME = sql.raw('registry, repository, at, id, what, tag, digest, client, kind')

/** The newest invocations before the last use that are searched for its client. */
const MOST_OUTCOMES = 1_000

/**
 * The kind of client of the last settled use, by the time of the use: an outcome has only the time of its first request, and
 * the outcome of the last use may be erased or not settled.
 * @param references an array of text
 * @param isWanted a condition on `l`, a last use
 */
const kindsOfUses = (
  query: QueryParameters,
  references: RawBuilder<unknown>,
  isWanted = sql`true`,
): RawBuilder<unknown> => sql`
  select l.used_at, min(l.kind) as kind
  from inventory.repositories r
    join pulls.last_uses l on l.repository = r.name
      and l.registry = any(array(select r.registry union all select alias from inventory.registry_aliases where name = r.registry))
  where r.id = t.repository_id and l.reference = any(${references}) and ${isOfOtherKind(sql`l.kind`, query)} and ${isWanted}
  group by l.used_at`

/** Equivalent to `is not null`. For that, PostgreSQL expects nearly all rows to match, and sorts them all. */
const isKnown = (moment: RawBuilder<unknown>): RawBuilder<unknown> => sql`(${moment} >= '-infinity')`

/** Never used; used; and tags that may be in use although their times do not show it. */
const [NEVER_USED, USED, NOT_KNOWN] = [0, 1, 2] as const
type Group = typeof NEVER_USED | typeof USED | typeof NOT_KNOWN

const groupOf = ([first = NEVER_USED]: Key = []): Group =>
  Math.min(Math.max(Number(first), NEVER_USED), NOT_KNOWN) as Group

/** Where the tags of a group begin and end. The order of the day has an index; without it, each portion would sort all tags. */
const tagsOf = (group: Group, query: QueryParameters, { after, until }: Pick<Page, 'after' | 'until'>): WantedTags => {
  const moment = sql`${query.unused_for}::timestamptz`
  const scans = query.unused_for === undefined ? [sql`true`] : unusedScans(moment, query)
  const bounds = { after: after && groupOf(after) === group ? after.slice(1) : undefined, until: until?.slice(1) }
  const next = between(bounds, [
    [sql`t.active_on`, 'date'],
    [sql`t.repository_id`, 'int'],
    [sql`t.name`, 'text'],
  ])
  const looksNeverUsed = query.without_kind === undefined ? sql`${isKnown(ownUse)} is not true` : sql`true`
  return {
    scans: scans.map((scan) => sql`${scan} and ${next}`),
    order: sql`t.active_on`,
    key: sql`jsonb_build_array(${group}::int, t.active_on, t.repository_id, t.name)`,
    looksWanted: sql`${group === NEVER_USED ? looksNeverUsed : sql`true`}
      and ${query.unused_for === undefined ? sql`true` : looksUnusedSince(moment, query)}`,
  }
}

/** With `unused_for`, tags that may be in use are in no group. */
const lastGroup = (query: QueryParameters): Group => (query.unused_for === undefined ? NOT_KNOWN : USED)

/** The end of the next portion of a group, or of the next group if this one has no more tags. Each group scans all tags. */
const endOfGroup = (
  query: QueryParameters,
  after: Key | undefined,
  size: PortionSize,
): RawBuilder<{ key: Key; is_last: boolean }> => {
  const group = groupOf(after)
  const inGroup = endOfTags(query, tagsOf(group, query, { after }), size)
  if (group >= lastGroup(query)) return inGroup
  const next = endOfTags(query, tagsOf((group + 1) as Group, query, { after: undefined }), size)
  return sql`
    with here as materialized (${inGroup})
    select key, false as is_last from here
    union all select key, is_last and ${group + 1 === lastGroup(query)}::boolean from (${next}) n where not exists (select from here)`
}

/** The tags of a portion, which belong to one group, with their uses. */
const usedTags = (query: QueryParameters, page: Page): RawBuilder<unknown> => {
  const group = groupOf(page.until ?? page.after)
  const moment = sql`${query.unused_for}::timestamptz`
  const isIn = {
    [NEVER_USED]: sql`${isKnown(sql`u.used_at`)} is not true`,
    [USED]: sql`${isKnown(sql`u.used_at`)} is true`,
    [NOT_KNOWN]: sql`true`,
  }[group]
  const isCertain =
    query.unused_for === undefined
      ? sql`${mayBeUsedElsewhere} is ${group === NOT_KNOWN ? sql`true` : sql`not true`}`
      : unusedSince(moment, query)
  const mayBeUsed = query.unused_for === undefined ? IS_DIGEST_USED_ELSEWHERE : mayDigestBeUsedSince(moment, query)
  return sql`
  ${chosenTags(query, tagsOf(group, query, page), mayBeUsed)}, found as materialized (
    select t.sort_key, t.key, t.repository_id, t.name, t.digest, ${tagChangedAt} as pushed,
      t.pushed_at is null as ${sql.ref(IS_PUSH_UNKNOWN)},
      u.used_at as last_used, u.pulled_at as last_pulled, u.kinds_known_since
    from chosen t
      join digests d on d.repository_id = t.repository_id and d.digest = t.digest
      left join lateral ${manifestOf} m on true
      cross join lateral ${usesOf(query)} u
    where ${isIn} and ${isCertain}
    order by t.sort_key, t.repository_id, t.name
    limit ${page.limit}
  )`
}

export const lastUsed: Question = {
  name: 'last-used',
  offers: 'unused, with unused_for',
  answers:
    'Every live tag with the time of its last use, for tools that clean up. Never-used tags come first, then tags by the day of their last use, then tags that may be in use although their times do not show it.',
  definition: `last_used_at is the newest pull or check (HEAD) of the tag, of the manifest it points to, or of an image that this index lists, by tag or by digest; empty if none is known. A check counts: a client that finds an image unchanged does not pull it. A HEAD is no check if the same client (address, user agent, user) pushes the tag within 15 minutes. last_pulled_at is the newest pull alone. Days are UTC days of the last use or push of the tag itself. The last tags are those whose last_used_at may miss uses: indexes of unknown contents, images that a live index lists, referrers (sha256-…) of existing manifests, and tags by which another image was pushed within 60 seconds before the last push or request. unused_for also leaves out tags that were pushed since, unless the push changed nothing. With unused_for: ${REFERRERS} ${UNKNOWN_PARTS} ${PUSHED} client and kind describe the client of the last use; client is empty if its invocation is no longer stored, and kind is empty if it is unknown. ${WITHOUT} ${SIZE}`,
  parameters: {
    unused_for: {
      kind: 'age',
      help: 'only tags that were neither used nor pushed since: an age such as 90d, 12w, 6m or 1y, or a day such as 2026-05-21',
    },
    ...USED_BY,
    ...REPOSITORY_FILTER,
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
  prepare: withUsedUnknownIndexes,
  portion: endOfGroup,
  statement: (query, page) => sql`
    with ${usedTags(query, page)}, parts as materialized (
      -- As keys of an object: a look-up does not read all of them.
      select t.repository_id, t.digest, ${wholeSizeIfKnown} as size,
        (select jsonb_object_agg(digest, true) from unnest(${withParts(sql`t.digest`)}) digest) as digests
      from (select distinct repository_id, digest from found) t
    ), kinds as materialized (
      select t.repository_id, t.digest, l.used_at, l.kind
      from parts t cross join lateral (${kindsOfUses(query, sql`array(select jsonb_object_keys(t.digests))`)}) l
    )
    select r.registry, r.name as repository, t.name as tag, t.digest, t.size, ${isoText(sql`t.pushed`)} as pushed_at,
      ${isoText(sql`t.last_used`)} as last_used_at, ${isoText(sql`t.last_pulled`)} as last_pulled_at, o.client,
      coalesce(used_by.kind, o.kind) as kind, ${isoText(sql`t.kinds_known_since`)} as kinds_known_since,
      t.${sql.ref(IS_PUSH_UNKNOWN)}, t.key
    from (
        -- A full join never compares each row with each, whatever the statistics of PostgreSQL say.
        select t.*, p.size, p.digests
        from found t full join parts p on p.repository_id = t.repository_id and p.digest = t.digest
        offset 0
      ) t
      join inventory.repositories r on r.id = t.repository_id
      left join kinds k on k.repository_id = t.repository_id and k.digest = t.digest and k.used_at = t.last_used
      left join lateral (${kindsOfUses(query, sql`array[t.name]`, sql`l.used_at = t.last_used`)}) n on true
      cross join lateral (select least(k.kind, n.kind) as kind) used_by
      left join lateral (
        select o.client, o.kind from (
          select * from (
            select ${OUTCOME}, true as is_settled from pulls.outcomes
            union all select ${OUTCOME}, false from provisional.outcomes
          ) o
          where o.registry = r.registry and o.repository = r.name and o.what = 'invocation'
            and o.at between t.last_used - ${LONGEST_INVOCATION} and t.last_used
          order by o.at desc, o.id limit ${MOST_OUTCOMES}
        ) o
        where (o.tag = t.name or t.digests ? o.digest)
          and (o.kind = used_by.kind or used_by.kind is null and not o.is_settled and ${isOfOtherKind(sql`o.kind`, query)})
        order by o.at desc, o.id limit 1
      ) o on true
    order by t.sort_key, t.repository_id, t.name`,
}

import { sql, type RawBuilder } from 'kysely'
import { pushedAt, SIZE, usedAt } from './images.js'
import { PLACE, type Asked, type Page, type Question } from './question.js'
import { behind, iso, manifestOf, placedIn, wholeSize } from './sql-parts.js'

/** No invocation goes on for longer (pulls/fold/state.ts), so one that began earlier did not use a tag last. */
const LONGEST_INVOCATION = sql`interval '1 hour'`

const pulledLast = sql`greatest(t.pulled_at, m.pulled_at)`
const usedLast = sql`greatest(t.pulled_at, t.checked_at, m.pulled_at, m.checked_at)`

/**
 * The next tags that were never used, or those that were, in the order of the day, which has an index: both are read until the
 * page is full, and one sort of all tags would be read for each page.
 */
const tagsThat = (isUsed: boolean, asked: Asked, { limit }: Page, after: Page['after']): RawBuilder<unknown> => sql`(
  select ${isUsed ? 1 : 0}::int as is_used, t.used_on, t.repository_id, t.name, t.digest, ${pushedAt} as pushed,
    ${usedLast} as last_used, ${pulledLast} as last_pulled
  from inventory.tags t
    left join lateral ${manifestOf} m on true
  where t.live and t.pointed_at > coalesce(m.deleted_at, '-infinity')
    and ${usedLast} is ${isUsed ? sql`not null` : sql`null`}
    and ${placedIn(sql`t.repository_id`, asked)} and ${unusedSince(asked)} and ${behind('>', after, [
      [sql`t.used_on`, 'date'],
      [sql`t.repository_id`, 'int'],
      [sql`t.name`, 'text'],
    ])}
  order by t.used_on, t.repository_id, t.name
  limit ${limit}
)`

/** Neither used nor pushed: what was pushed yesterday had no time to be used. */
const unusedSince = ({ unused_for }: Asked): RawBuilder<unknown> =>
  unused_for === undefined
    ? sql`true`
    : sql`t.used_on <= (${unused_for}::timestamptz at time zone 'UTC')::date and ${usedAt} < ${unused_for}::timestamptz`

const pageOf = (asked: Asked, page: Page): RawBuilder<unknown> => {
  const [isUsed, ...rest] = page.after ?? []
  const used = tagsThat(true, asked, page, isUsed === 1 ? rest : undefined)
  return isUsed === 1 ? used : sql`${tagsThat(false, asked, page, page.after && rest)} union all ${used}`
}

export const lastUsed: Question = {
  name: 'last-used',
  answers:
    'Every live tag with when it was used last, for tools that clean up: never used ones first, then by the day.',
  definition: `last_used_at is the newest pull or check (HEAD) of the tag or of the manifest it points to, by tag or by digest; empty where none is known. A check counts: clients that find an image unchanged do not pull it. last_pulled_at is the newest pull alone. Days are UTC, of the last use or push of the tag itself. unused_for leaves out what was pushed since, too. client and kind are of whoever used it last, as long as single invocations are kept. An image of an index that is pulled by its own digest does not use the tag of the index. ${SIZE}`,
  parameters: {
    unused_for: {
      kind: 'age',
      help: 'only what was neither used nor pushed since: an age as 90d, 12w, 6m or 1y, or a day as 2026-05-21',
    },
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
  key: ['id', 'day', 'id', 'text'],
  statement: (asked, page) => sql`
    select r.registry, r.name as repository, t.name as tag, t.digest,
      case when m.contents_known then ${wholeSize(sql`t.digest`)} end as size, ${iso(sql`t.pushed`)} as pushed_at,
      ${iso(sql`t.last_used`)} as last_used_at, ${iso(sql`t.last_pulled`)} as last_pulled_at, o.client, o.kind,
      jsonb_build_array(t.is_used, t.used_on, t.repository_id, t.name) as key
    from (
      select * from (${pageOf(asked, page)}) found order by is_used, used_on, repository_id, name limit ${page.limit}
    ) t
      join inventory.repositories r on r.id = t.repository_id
      left join inventory.manifests m on m.digest = t.digest
      left join lateral (
        select o.client, o.kind from pulls.outcomes o
        where o.registry = r.registry and o.repository = r.name and o.what = 'invocation'
          and o.at between t.last_used - ${LONGEST_INVOCATION} and t.last_used
          and (o.tag = t.name or o.digest = t.digest)
        order by o.at desc, o.id limit 1
      ) o on true
    order by t.is_used, t.used_on, t.repository_id, t.name`,
}

import { sql } from 'kysely'
import { isLiveTag } from '../model/is-live-tag.js'
import { IS_PUSH_UNKNOWN } from './notes.js'
import { REPOSITORY_FILTER, REGISTRY, type Question } from './question.js'
import { behind, bigintKey, manifestOf, isSelected } from './sql-parts.js'
import { tagCheckedAt } from './uses.js'
import { isoText } from '../../storage/sql/moments.js'

const deletedAt = sql`greatest(t.deleted_at, m.deleted_at)`
/** The first delete after the tag was set to the digest: a delete of the tag, or of its manifest. */
const firstDeletedAt = sql`least(case when t.deleted_at >= t.pointed_at then t.deleted_at end,
  case when m.deleted_at >= t.pointed_at then m.deleted_at end)`
const STATES = {
  live: isLiveTag(deletedAt),
  deleted: sql`t.pointed_at <= ${deletedAt}`,
  all: sql`t.pointed_at is not null`,
}

const tags: Question = {
  name: 'tags',
  answers: 'Every tag with its times. The order is by repository, as first seen, then by name.',
  definition:
    'A tag points to the digest of its newest push or pull by tag. A delete of the tag, or of its manifest by digest, deletes the tag.',
  parameters: {
    state: {
      kind: 'choice',
      choices: Object.keys(STATES),
      default: 'live',
      help: 'live (the default), deleted or all',
    },
    ...REPOSITORY_FILTER,
  },
  columns: {
    registry: 'text',
    repository: 'text',
    tag: 'text',
    digest: 'text',
    pushed_at: 'time',
    pulled_at: 'time',
    checked_at: 'time',
    deleted_at: 'time',
  },
  key: ['id', 'text'],
  statement: (query, { after, limit }) => sql`
    select r.registry, r.name as repository, t.name as tag, t.digest,
      ${isoText(sql`coalesce(t.pushed_at, t.first_seen_at)`)} as pushed_at, ${isoText(sql`t.pulled_at`)} as pulled_at,
      ${isoText(tagCheckedAt)} as checked_at, ${isoText(firstDeletedAt)} as deleted_at,
      t.pushed_at is null as ${sql.ref(IS_PUSH_UNKNOWN)}, jsonb_build_array(t.repository_id, t.name) as key
    from inventory.tags t
      join inventory.repositories r on r.id = t.repository_id
      left join lateral ${manifestOf} m on true
    where ${STATES[query.state as keyof typeof STATES]} and ${isSelected(sql`t.repository_id`, query)}
      and ${behind('>', after, [
        [sql`t.repository_id`, 'int'],
        [sql`t.name`, 'text'],
      ])}
    order by t.repository_id, t.name
    limit ${limit}`,
}

const mostTagged: Question = {
  name: 'most-tagged',
  answers: 'Images to which two or more live tags of their repository point, the image with the most tags first.',
  definition: 'tags counts the live tags that point to the digest in this repository, as of the summary.',
  parameters: REPOSITORY_FILTER,
  columns: { registry: 'text', repository: 'text', digest: 'text', tags: 'count' },
  key: ['bigint', 'id', 'text'],
  fromSummary: true,
  statement: (query, { after, limit }) => sql`
    select r.registry, r.name as repository, t.digest, t.tags, jsonb_build_array(${bigintKey(sql`t.tags`)}, t.repository_id, t.digest) as key
    from inventory.most_tagged t join inventory.repositories r on r.id = t.repository_id
    where ${isSelected(sql`t.repository_id`, query)}
      and ${behind('<', after, [
        [sql`t.tags`, 'bigint'],
        [sql`t.repository_id`, 'int'],
        [sql`t.digest`, 'text'],
      ])}
    order by t.tags desc, t.repository_id desc, t.digest desc
    limit ${limit}`,
}

/**
 * A delete by digest deletes the tags that point to it, and the delete of a repository deletes all tags, both without naming
 * them. A delete from before the tag existed, or from before it was set to this digest, concerns other tags.
 */
const tagHistory: Question = {
  name: 'tag-history',
  answers: 'The history of one tag: its pushes, and the deletes that removed it, the newest first.',
  definition:
    'The history contains pushes and deletes of the tag, deletes by digest of manifests to which the tag pointed before, and deletes of the whole repository since the tag was first seen. action is push, delete or gone. gone means that no notification reported the deletion; at is then the time when reconcile found it. Pulls are not stored one by one.',
  parameters: {
    repository: { kind: 'text', required: true, help: 'the repository, for example team/app' },
    tag: { kind: 'text', required: true, help: 'the tag, for example latest' },
    registry: REGISTRY,
  },
  columns: {
    at: 'time',
    action: 'text',
    registry: 'text',
    repository: 'text',
    tag: 'text',
    digest: 'text',
    actor: 'text',
  },
  key: ['time', 'uuid'],
  statement: (query, { after, limit }) => sql`
    with changes_of_tag as materialized (
      select * from inventory.changes where ${isSelected(sql`repository_id`, query)} and tag = ${query.tag}
    ), all_changes as (
      select * from changes_of_tag
      union all
      select * from inventory.changes c
      where ${isSelected(sql`c.repository_id`, query)} and c.action <> 'push' and c.tag is null
        -- With "or", PostgreSQL uses a hash table of the pushes; otherwise it might compare each row with each.
        and (c.digest is null or (c.repository_id, c.digest) in (select repository_id, digest from changes_of_tag where action = 'push'))
    ), timed as (
      select *, min(at) filter (where tag is not null) over (partition by repository_id) as first_change_at,
        min(at) filter (where tag is not null and action = 'push') over (partition by repository_id, digest) as first_pushed_at
      from all_changes
    )
    select ${isoText(sql`c.at`)} as at, c.action, r.registry, r.name as repository, c.tag, c.digest, a.name as actor,
      jsonb_build_array(${isoText(sql`c.at`)}, c.event_id) as key
    from timed c join inventory.repositories r on r.id = c.repository_id
    left join inventory.actors a on a.id = c.actor_id
    where (
        c.tag is not null
        or case when c.digest is not null then c.first_pushed_at <= c.at
          -- A tag from before the first event, which only pulls have shown.
          else c.first_change_at <= c.at or exists (
            select from inventory.tags t
            where t.repository_id = c.repository_id and t.name = ${query.tag} and t.first_seen_at <= c.at
          ) end
      )
      and ${behind('<', after, [
        [sql`c.at`, 'timestamptz'],
        [sql`c.event_id`, 'uuid'],
      ])}
    order by c.at desc, c.event_id desc
    limit ${limit}`,
}

export const tagQuestions: readonly Question[] = [tags, mostTagged, tagHistory]

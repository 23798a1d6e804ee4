import { sql } from 'kysely'
import { REPOSITORY_FILTER, type Question } from './question.js'
import { behind, isSelected, same } from './sql-parts.js'
import { isoText } from '../../storage/sql/moments.js'

const deletions: Question = {
  name: 'deletions',
  answers: 'All deletions: what was deleted, when, and by whom. The newest comes first.',
  definition:
    'what is tag, manifest, blob, repository or object. object means a manifest or a blob: the notification of a delete does not distinguish them. actor is the name that the registry reported. told_by is registry, or reconcile if no notification reported the deletion; at is then the time when reconcile found it.',
  parameters: {
    since: {
      kind: 'age',
      help: 'only deletions since then: an age such as 90d, 12w, 6m or 1y, or a day such as 2026-05-21',
    },
    actor: { kind: 'text', help: 'only by this actor' },
    ...REPOSITORY_FILTER,
  },
  columns: {
    at: 'time',
    what: 'text',
    registry: 'text',
    repository: 'text',
    tag: 'text',
    digest: 'text',
    actor: 'text',
    told_by: 'text',
  },
  key: ['time', 'uuid'],
  statement: (query, { after, limit }) => sql`
    select ${isoText(sql`c.at`)} as at,
      case when c.tag is not null then 'tag' when c.digest is null then 'repository'
        when exists (select from inventory.manifests m where m.digest = c.digest) then 'manifest'
        when exists (select from inventory.repository_blobs b
          where b.repository_id = c.repository_id and b.digest = c.digest and b.seen_at is not null) then 'blob'
        else 'object' end as what,
      r.registry, r.name as repository, c.tag, c.digest, a.name as actor,
      case c.action when 'gone' then 'reconcile' else 'registry' end as told_by, jsonb_build_array(${isoText(sql`c.at`)}, c.event_id) as key
    from inventory.changes c join inventory.repositories r on r.id = c.repository_id
      left join inventory.actors a on a.id = c.actor_id
    where c.action <> 'push' and ${isSelected(sql`c.repository_id`, query)} and ${same(sql`a.name`, query.actor)}
      and ${query.since === undefined ? sql`true` : sql`c.at >= ${query.since}::timestamptz`}
      and ${behind('<', after, [
        [sql`c.at`, 'timestamptz'],
        [sql`c.event_id`, 'uuid'],
      ])}
    order by c.at desc, c.event_id desc
    limit ${limit}`,
}

export const deletionQuestions: readonly Question[] = [deletions]

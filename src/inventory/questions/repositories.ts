import { sql } from 'kysely'
import { MS_PER_DAY } from '../../events/calendar.js'
import { REGISTRY, REPOSITORY, type QueryParameters, type Question } from './question.js'
import { behind, bigintKey, same } from './sql-parts.js'
import { isoText } from '../../storage/sql/moments.js'

const COLUMNS = {
  registry: 'text',
  repository: 'text',
  tags: 'count',
  manifests: 'count',
  blobs: 'count',
  bytes: 'bytes',
  unique_bytes: 'bytes',
  shared_bytes: 'bytes',
  unknown_contents: 'count',
  unknown_sizes: 'count',
  last_seen_at: 'time',
} as const
const PARAMETERS = {
  prefix: { kind: 'text', help: 'only repositories whose names begin with this text, for example team/' },
  registry: REGISTRY,
  repository: REPOSITORY,
} as const
const BYTES =
  'bytes is the sum of the live blobs of the repository, each counted once. unique_bytes is the sum of the blobs that are only in this repository, and shared_bytes of those that are also in others. Manifests, some kilobytes each, are not included. unknown_contents counts the manifests of unknown contents: live ones, and those that a live tag or index names and no event showed. unknown_sizes counts the live blobs of unknown size. If one of these two is more than 0, the real bytes and blobs may be more than shown. The numbers are empty if the repository is newer than the summary.'

const described = sql`r.registry, r.name as repository, t.tags, t.manifests, t.blobs, t.bytes, t.unique_bytes, t.shared_bytes,
      t.unknown_contents, t.unknown_sizes,
      ${isoText(sql`r.last_seen_at`)} as last_seen_at`
/** A deleted repository is left out until something is in it again. */
const wanted = ({ prefix, registry, repository }: QueryParameters) =>
  sql`(r.deleted_at is null
        or exists (select from inventory.repository_manifests o where o.repository_id = r.id and o.live offset 0)
        or exists (select from inventory.repository_blobs o where o.repository_id = r.id and o.live offset 0)) and ${same(sql`r.registry`, registry)}
      and ${same(sql`r.name`, repository)} and ${prefix === undefined ? sql`true` : sql`starts_with(r.name, ${prefix})`}`

const repositories: Question = {
  name: 'repositories',
  answers: 'Every repository with its sizes, sorted by name.',
  definition: BYTES,
  parameters: PARAMETERS,
  columns: COLUMNS,
  key: ['text', 'text'],
  fromSummary: true,
  unknown: ['contents', 'sizes'],
  statement: (query, { after, limit }) => sql`
    select ${described}, jsonb_build_array(r.registry, r.name) as key
    from inventory.repositories r left join inventory.repository_totals t on t.repository_id = r.id
    where ${wanted(query)}
      and ${behind('>', after, [
        [sql`r.registry`, 'text'],
        [sql`r.name`, 'text'],
      ])}
    order by r.registry, r.name
    limit ${limit}`,
}

const largest: Question = {
  name: 'largest-repositories',
  answers: 'Every repository with its sizes, the repository with the most unique bytes first.',
  definition: BYTES,
  parameters: PARAMETERS,
  columns: COLUMNS,
  key: ['bigint', 'id'],
  fromSummary: true,
  unknown: ['contents', 'sizes'],
  statement: (query, { after, limit }) => sql`
    select ${described}, jsonb_build_array(${bigintKey(sql`t.unique_bytes`)}, r.id) as key
    from inventory.repositories r join inventory.repository_totals t on t.repository_id = r.id
    where ${wanted(query)}
      and ${behind('<', after, [
        [sql`t.unique_bytes`, 'bigint'],
        [sql`r.id`, 'int'],
      ])}
    order by t.unique_bytes desc, r.id desc
    limit ${limit}`,
}

const totals: Question = {
  name: 'totals',
  answers: 'The totals of all registries, in one row.',
  definition:
    'Manifests, blobs and bytes count once, in however many repositories they are; bytes is the sum of live blobs. orphaned_blobs and orphaned_bytes are the sums of the question orphaned-blobs; a blob counts in each of its repositories. unknown_contents counts the manifests of unknown contents in each of their repositories: live ones, and those that a live tag or index names and no event showed. unknown_sizes counts the live blobs of unknown size, each once. If one of these two is more than 0, the real bytes and blobs may be more than shown. deletions_28_days counts the deletes of the last 28 days up to now.',
  parameters: {},
  columns: {
    registries: 'count',
    repositories: 'count',
    tags: 'count',
    manifests: 'count',
    blobs: 'count',
    bytes: 'bytes',
    orphaned_blobs: 'count',
    orphaned_bytes: 'bytes',
    unknown_contents: 'count',
    unknown_sizes: 'count',
    deletions_28_days: 'count',
  },
  key: ['id'],
  fromSummary: true,
  unknown: ['contents', 'sizes', 'blobs'],
  statement: (_, { after, limit, now }) => sql`
    select t.registries, t.repositories, t.tags, t.manifests, t.blobs, t.bytes, t.orphaned_blobs, t.orphaned_bytes, t.unknown_contents, t.unknown_sizes,
      (select count(*) from inventory.changes c
        where c.action <> 'push' and c.at > ${new Date(now.getTime() - 28 * MS_PER_DAY).toISOString()}::timestamptz
          and c.at <= ${now.toISOString()}::timestamptz) as deletions_28_days,
      jsonb_build_array(1) as key
    from inventory.totals t
    where ${behind('>', after, [[sql`1`, 'int']])}
    limit ${limit}`,
}

export const repositoryQuestions: readonly Question[] = [totals, repositories, largest]

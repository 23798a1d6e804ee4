import { sql } from 'kysely'
import { REGISTRY, type Question } from './question.js'
import { behind, isManifestType, placedIn } from './sql-parts.js'

/** An index may list indexes; deeper than this nobody builds, and a circle of digests cannot be made. */
const DEEPEST = 4
/** Listed by indexes on one level, in one repository: no registry builds so many, but an event may say so. */
const MOST_LISTED = 10_000

/** What configurations are called, by the first entry of a manifest, where nobody told which it is. */
const CONFIG_TYPES = sql`('application/vnd.docker.container.image.v1+json', 'application/vnd.docker.plugin.v1+json',
  'application/vnd.oci.empty.v1+json')`

/** `live` is read by key, one row for each part: `exists` would be answered by reading the whole table once. */
const tree: Question = {
  name: 'tree',
  answers: 'All that one image consists of: the index, its images by platform, and their configuration and layers.',
  definition:
    'part is index, manifest, config or layer; level says how deep it lies; present says whether the repository has it now; layers that may not be distributed are kept elsewhere. Layers that images share are listed with each. What indexes list more than once on one level is listed each time, but its contents only the first time; of one level the first 10,000 manifests are listed.',
  parameters: {
    repository: { kind: 'text', required: true, help: 'the repository, as team/app' },
    reference: { kind: 'text', required: true, help: 'a tag, as latest, or a digest' },
    registry: REGISTRY,
  },
  columns: {
    level: 'count',
    part: 'text',
    digest: 'text',
    os: 'text',
    architecture: 'text',
    variant: 'text',
    size: 'bytes',
    present: 'text',
    media_type: 'text',
    registry: 'text',
  },
  key: ['text'],
  statement: (asked, { after, limit }) => sql`
    with recursive named as (
      select o.repository_id, o.digest
      from (
        select r.id, coalesce((
          select t.digest from inventory.tags t where t.repository_id = r.id and t.name = ${asked.reference}
        ), ${asked.reference}) as digest
        from inventory.repositories r where ${placedIn(sql`r.id`, asked)}
        offset 0
      ) wanted join inventory.repository_manifests o on o.repository_id = wanted.id and o.digest = wanted.digest
      where o.seen_at is not null
    ), nodes as (
      select repository_id, 0 as level, lpad(repository_id::text, 10, '0') as path, digest,
        null::text as os, null::text as architecture, null::text as variant, null::text collate "C" as media_type, null::bigint as size,
        true as first_on_level
      from named
      union all
      select repository_id, level, path, digest, os, architecture, variant, media_type, size,
        row_number() over (partition by repository_id, digest order by path) = 1
      from (
        select n.repository_id, n.level + 1 as level, n.path || '.' || lpad(c.position::text, 6, '0') as path, c.digest,
          c.os, c.architecture, c.variant, c.media_type, c.size,
          row_number() over (partition by n.repository_id order by n.path, c.position) as number
        from nodes n join inventory.manifest_children c on c.manifest_digest = n.digest
        where n.first_on_level and n.level < ${DEEPEST}
      ) listed
      where number <= ${MOST_LISTED}
    ), parts as (
      select n.repository_id, n.level, n.path, n.digest, coalesce(m.media_type, n.media_type) as media_type, coalesce(m.size, n.size) as size,
        case when not ${isManifestType(sql`n.media_type`)} then case when n.media_type like '%config%' then 'config' else 'layer' end
          when (select true from inventory.manifest_children c where c.manifest_digest = n.digest limit 1)
          then 'index' else 'manifest' end as part,
        coalesce(n.os, m.os) as os, coalesce(n.architecture, m.architecture) as architecture,
        coalesce(n.variant, m.variant) as variant,
        coalesce((select o.live from inventory.repository_manifests o
          where o.repository_id = n.repository_id and o.digest = n.digest), false)
        or not ${isManifestType(sql`n.media_type`)} and coalesce((select o.live from inventory.repository_blobs o
          where o.repository_id = n.repository_id and o.digest = n.digest), false) as present
      from nodes n left join inventory.manifests m on m.digest = n.digest
      union all
      select n.repository_id, n.level + 1, n.path || '.' || lpad(b.position::text, 6, '0'), b.digest, b.media_type, b.size,
        case when b.position = 0 and (b.digest = m.config_digest or b.media_type like '%config%' or b.media_type in ${CONFIG_TYPES})
          then 'config' else 'layer' end, null, null, null,
        coalesce((select o.live from inventory.repository_blobs o
          where o.repository_id = n.repository_id and o.digest = b.digest), false)
      from nodes n
        join inventory.manifest_blobs b on b.manifest_digest = n.digest
        left join inventory.manifests m on m.digest = n.digest
      where n.first_on_level
    )
    select p.level, p.part, p.digest, p.os, p.architecture, p.variant, p.size,
      case when p.present then 'yes' else 'no' end as present, p.media_type, r.registry, jsonb_build_array(p.path) as key
    from parts p join inventory.repositories r on r.id = p.repository_id
    where ${behind('>', after, [[sql`p.path collate "C"`, 'text']])}
    order by p.path collate "C"
    limit ${limit}`,
}

export const treeQuestions: readonly Question[] = [tree]

import { sql, type RawBuilder } from 'kysely'
import { isKnownIn, mediaTypeIn, registryOf } from '../model/known-in.js'
import { mayBeIndex } from './indexes-above.js'
import { REGISTRY, type Question } from './question.js'
import { behind, DEEPEST, isForeignLayer, isIndexType, isManifestType, isSelected } from './sql-parts.js'

/** Entries of indexes that are listed on one level of one repository. No registry builds so many, but an event may state it. */
const MOST_LISTED = 10_000

/**
 * Indexes on one level of one repository that are opened: digests in events may be made up, so that indexes list each other.
 */
const MOST_OPENED = 100

/** Configurations and layers of one tree. */
const MOST_BLOBS = 50_000

/** Whether blobs of node `n` are missing, because there are too many blobs before them. */
const lacksBlobs = sql`coalesce(
  (select count(*) = ${MOST_BLOBS} from blobs) and n.path >= (select max(manifest_path) from blobs)
    and (select true from inventory.manifest_blobs where manifest_digest = n.digest limit 1),
  false)`

/**
 * Media types that the first entry of a manifest has if it is the configuration, for manifests whose configuration is not
 * known.
 */
const CONFIG_TYPES = sql`('application/vnd.docker.container.image.v1+json', 'application/vnd.docker.plugin.v1+json',
  'application/vnd.oci.empty.v1+json')`

/** The media type of the manifest `m` of a node, if it is known in the registry. */
const TYPE_HERE = sql`coalesce(${mediaTypeIn(sql`m`, registryOf(sql`n.repository_id`))}, n.media_type)`

/** `otherwise`: the result if no event showed or deleted the digest in the repository. */
const present = (
  table: 'repository_manifests' | 'repository_blobs',
  digest: RawBuilder<unknown>,
  otherwise: string,
): RawBuilder<unknown> => sql`coalesce((
  select case when o.live then 'yes' when coalesce(o.seen_at, o.deleted_at) is null then ${sql.lit(otherwise)} else 'no' end
  from ${sql.raw(`inventory.${table}`)} o where o.repository_id = n.repository_id and o.digest = ${digest}
), ${sql.lit(otherwise)})`

/** `live` is read by key, one row for each part: for `exists`, PostgreSQL would read the whole table once. */
const tree: Question = {
  name: 'tree',
  answers: 'All parts of one image: the index, its images by platform, and their configurations and layers.',
  definition:
    'part is index, manifest, config or layer; level is its depth. present is yes if the repository has the part now, and no if the part was deleted. It is elsewhere for a layer that may not be distributed and that no event showed here, and unknown for any other part that no event showed here. If the contents of a manifest or index are not known, contents is unknown, and the parts are missing from the answer. A layer that several images share is listed with each of them. A manifest that indexes list several times on one level is listed each time, but its contents only once. On each level, the first 10,000 manifests are listed, and the contents of the first 100 indexes, down to the fourth level. In total, the first 50,000 configurations and layers are listed. Beyond these limits, contents is unknown.',
  parameters: {
    repository: { kind: 'text', required: true, help: 'the repository, for example team/app' },
    reference: { kind: 'text', required: true, help: 'a tag such as latest, or a digest' },
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
    contents: 'text',
    media_type: 'text',
    registry: 'text',
  },
  key: ['text'],
  object: 'reference',
  statement: (query, { after, limit }) => sql`
    with recursive named as (
      select o.repository_id, o.digest
      from (
        select r.id, coalesce((
          select t.digest from inventory.tags t where t.repository_id = r.id and t.name = ${query.reference}
        ), ${query.reference}) as digest
        from inventory.repositories r where ${isSelected(sql`r.id`, query)}
        offset 0
      ) wanted join inventory.repository_manifests o on o.repository_id = wanted.id and o.digest = wanted.digest
      where o.seen_at is not null
    ), nodes as (
      select repository_id, 0 as level, lpad(repository_id::text, 10, '0') as path, digest,
        null::text as os, null::text as architecture, null::text as variant, null::text collate "C" as media_type, null::bigint as size,
        true as first_on_level, false as is_closed
      from named
      union all
      select repository_id, level, path, digest, os, architecture, variant, media_type, size, first_on_level,
        level = ${DEEPEST} or
          count(*) filter (where first_on_level and ${mayBeIndex(sql`media_type`)}) over (partition by repository_id order by path)
            > ${MOST_OPENED}
      from (
        select repository_id, level, path, digest, os, architecture, variant, media_type, size,
          row_number() over (partition by repository_id, digest order by path) = 1 as first_on_level
        from (
          select n.repository_id, n.level + 1 as level, n.path || '.' || lpad(c.position::text, 6, '0') as path, c.digest,
            c.os, c.architecture, c.variant, c.media_type, c.size,
            row_number() over (partition by n.repository_id order by n.path, c.position) as number
          from nodes n
            join inventory.manifests m on m.digest = n.digest
            cross join lateral (
              select * from inventory.manifest_children where manifest_digest = n.digest
              order by position limit ${MOST_LISTED}
            ) c
          where ${isKnownIn(sql`m`, registryOf(sql`n.repository_id`))} and n.first_on_level and not n.is_closed
            and ${mayBeIndex(sql`n.media_type`)}
        ) listed
        where number <= ${MOST_LISTED}
      ) numbered
    ), blobs as materialized (
      select n.repository_id, n.level + 1 as level, n.path || '.' || lpad(b.position::text, 6, '0') as path, b.digest, b.media_type, b.size,
        n.digest as manifest_digest, b.position, n.path as manifest_path
      from (
        select n.* from nodes n join inventory.manifests m on m.digest = n.digest
        where n.first_on_level and ${isKnownIn(sql`m`, registryOf(sql`n.repository_id`))}
        order by n.path collate "C"
      ) n cross join lateral (
        select digest, media_type, size, position from inventory.manifest_blobs where manifest_digest = n.digest
        order by position limit ${MOST_BLOBS}
      ) b
      limit ${MOST_BLOBS}
    ), page as materialized (
      -- Details of the parts are looked up only for the page.
      select * from (
        select repository_id, level, path, digest, os, architecture, variant, media_type, size, is_closed, null as manifest_digest, null::int as position
        from nodes
        union all
        select repository_id, level, path, digest, null, null, null, media_type, size, false, manifest_digest, position from blobs
      ) parts
      where ${behind('>', after, [[sql`path collate "C"`, 'text']])}
      order by path collate "C"
      limit ${limit}
    ), parts as (
      select n.repository_id, n.level, n.path, n.digest, ${TYPE_HERE} as media_type, coalesce(m.size, n.size) as size,
        case when not ${isManifestType(sql`n.media_type`)} then case when n.media_type like '%config%' then 'config' else 'layer' end
          when ${isIndexType(TYPE_HERE)}
            or (${isKnownIn(sql`m`, registryOf(sql`n.repository_id`))}
              and (select true from inventory.manifest_children c where c.manifest_digest = n.digest limit 1))
          then 'index' else 'manifest' end as part,
        coalesce(n.os, m.os) as os, coalesce(n.architecture, m.architecture) as architecture,
        coalesce(n.variant, m.variant) as variant,
        case when ${isManifestType(sql`n.media_type`)} then ${present('repository_manifests', sql`n.digest`, 'unknown')}
          else ${present('repository_blobs', sql`n.digest`, 'unknown')} end as present,
        case when ${isManifestType(sql`n.media_type`)} then
          case when ${isKnownIn(sql`m`, registryOf(sql`n.repository_id`))} and (not n.is_closed and ${mayBeIndex(sql`n.media_type`)} or (
            select true from inventory.manifest_children c where c.manifest_digest = n.digest limit 1
          ) is null) and not ${lacksBlobs} then 'known' else 'unknown' end end as contents
      from page n left join inventory.manifests m on m.digest = n.digest
      where n.manifest_digest is null
      union all
      select n.repository_id, n.level, n.path, n.digest, n.media_type, n.size,
        case when n.position = 0 and (n.digest = m.config_digest or n.media_type like '%config%' or n.media_type in ${CONFIG_TYPES})
          then 'config' else 'layer' end, null, null, null,
        case when ${isForeignLayer(sql`n.media_type`)} then ${present('repository_blobs', sql`n.digest`, 'elsewhere')}
          else ${present('repository_blobs', sql`n.digest`, 'unknown')} end, null
      from page n join inventory.manifests m on m.digest = n.manifest_digest
      where n.manifest_digest is not null
    )
    select p.level, p.part, p.digest, p.os, p.architecture, p.variant, p.size,
      p.present, p.contents, p.media_type, r.registry, jsonb_build_array(p.path) as key
    from parts p join inventory.repositories r on r.id = p.repository_id
    order by p.path collate "C"`,
}

export const treeQuestions: readonly Question[] = [tree]

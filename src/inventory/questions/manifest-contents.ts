import { sql, type RawBuilder } from 'kysely'
import { isIndex } from '../../events/descriptor.js'
import type { Sql } from '../../storage/sql/database.js'
import { areEntriesKnownIn } from '../model/known-in.js'
import { entriesListing } from '../model/index-entries.js'
import { MOST_FOLLOWED } from './sql-parts.js'

/** What the inventory knows about a manifest: its kind and its contents. */
export type KnownManifest = {
  digest: string
  kind: 'index' | 'image' | 'artifact'
  config?: string
  layers: string[]
  children: string[]
  /** The platform of an image, for example linux/arm64/v8, from its configuration. */
  platform?: string
  /** The manifest has more layers or children than were read. */
  isCut: boolean
}

/**
 * Layers, and children, of one manifest that are read. An image has at most 127 layers; a hostile manifest of 4 MiB has 38,000.
 * Only these entries decide the kind of a manifest, so that the kind does not depend on what else is read.
 */
export const MOST_ENTRIES = 250

const knownEntries = (registry: string): RawBuilder<unknown> =>
  areEntriesKnownIn(sql`manifests`, sql`${registry}::text`)

type Row = {
  digest: string
  mediaType: string | null
  artifactType: string | null
  subject: string | null
  config: string | null
  configured: string
  blobs: { digest: string; mediaType: string | null }[] | null
  children: string[] | null
}

/**
 * Reads what is known about manifests in a registry, at most MOST_ENTRIES layers and children of each. Manifests of unknown
 * contents are left out.
 * @param digests each once
 */
export const contentsOfManifests = async (
  db: Sql,
  registry: string,
  digests: readonly string[],
): Promise<KnownManifest[]> => {
  if (digests.length === 0) return []
  const { rows } = await sql<Row>`
    select m.digest, m.media_type as "mediaType", m.artifact_type as "artifactType", m.subject, m.config_digest as config,
      concat_ws('/', m.os, m.architecture, m.variant) as configured,
      (
        select jsonb_agg(jsonb_build_object('digest', b.digest, 'mediaType', b.media_type) order by b.position)
        from (
          select * from inventory.manifest_blobs where manifest_digest = m.digest order by position limit ${MOST_ENTRIES + 1}
        ) b
      ) as blobs,
      (
        select array_agg(c.digest)
        from (
          select digest from inventory.manifest_children where manifest_digest = m.digest order by position limit ${MOST_ENTRIES + 1}
        ) c
      ) as children
    from unnest(${digests}::text[]) as wanted (digest)
      cross join lateral (
        select * from inventory.manifests where digest = wanted.digest and ${knownEntries(registry)} offset 0
      ) m
  `.execute(db)
  return rows.flatMap(knownManifest)
}

/** A manifest in a repository, and its platform according to a live index of the repository. */
export type ListedPlatform = { repository: string; digest: string; platform: string }

/**
 * Reads the platforms under which indexes list manifests. Only live indexes of the same repository count, with what is known
 * about them in its registry: an index in another repository proves nothing about this one. At most MOST_FOLLOWED entries of
 * indexes are read per digest, including those of other registries, because entries are looked up by digest and filtered
 * afterwards. If more indexes list a digest, its platform may remain unknown.
 * @param wanted each once
 */
export const listedPlatforms = async (
  db: Sql,
  registry: string,
  wanted: readonly { repository: string; digest: string }[],
): Promise<ListedPlatform[]> => {
  if (wanted.length === 0) return []
  const { rows } = await sql<ListedPlatform>`
    select wanted.repository, wanted.digest, listed.platform
    from unnest(${wanted.map(({ repository }) => repository)}::text[], ${wanted.map(({ digest }) => digest)}::text[])
        as wanted (repository, digest)
      cross join lateral (
        select id from inventory.repositories where registry = ${registry} and name = wanted.repository offset 0
      ) r
      cross join lateral (
        select concat_ws('/', c.os, c.architecture, c.variant) as platform
        from ${entriesListing(sql`wanted.digest`, MOST_FOLLOWED)} c
          cross join lateral (
            select from inventory.repository_manifests
            where repository_id = r.id and repository_manifests.digest = c.manifest_digest and live offset 0
          ) i
          cross join lateral (
            select from inventory.manifests
            where manifests.digest = c.manifest_digest and ${knownEntries(registry)} offset 0
          ) m
        where c.os is not null
        order by c.manifest_digest, c.position limit 1
      ) listed
  `.execute(db)
  return rows
}

/** For a manifest: which of some digests it lists as configuration or layers, and as children. */
export type Listed = { manifest: string; blobs: string[]; children: string[] }

/** Looks up which of some digests manifests list, so that a large manifest need not be read as a whole. */
export const listedAmong = async (
  db: Sql,
  manifests: readonly string[],
  digests: readonly string[],
): Promise<Listed[]> => {
  const { rows } = await sql<Listed>`
    select wanted.digest as manifest,
      array(
        select distinct digest from inventory.manifest_blobs
        where manifest_digest = wanted.digest and digest = any(${digests}::text[])
      ) as blobs,
      array(
        select distinct digest from inventory.manifest_children
        where manifest_digest = wanted.digest and digest = any(${digests}::text[])
      ) as children
    from unnest(${manifests}::text[]) as wanted (digest)
  `.execute(db)
  return rows
}

const knownManifest = (row: Row): KnownManifest[] => {
  const { digest, mediaType, configured: platform } = row
  const children = row.children ?? []
  const blobs = row.blobs ?? []
  const isCut = children.length > MOST_ENTRIES || blobs.length > MOST_ENTRIES
  if (children.length > 0 || isIndex(mediaType ?? undefined)) {
    const kind = row.subject === null ? 'index' : 'artifact'
    return [{ digest, kind, layers: [], children, isCut }]
  }
  if (blobs.length === 0) return []
  const config = row.config ?? blobs.find((blob) => isConfig(blob.mediaType))?.digest
  const configType = blobs.find((blob) => blob.digest === config)?.mediaType ?? undefined
  const layers = blobs.flatMap((blob) => (blob.digest === config ? [] : [blob.digest]))
  const kind = isArtifact(row, { config, configType }) ? 'artifact' : 'image'
  return [
    {
      digest,
      kind,
      layers,
      children,
      isCut,
      ...(config !== undefined && { config }),
      ...(platform !== '' && { platform }),
    },
  ]
}

/** Media types of signatures, attestations and bills of materials, and of bundles that a controller applies. */
const SUPPLEMENT =
  /^application\/(?:vnd\.(?:dev\.cosign|dev\.sigstore|cncf\.notary|in-toto|dsse|cyclonedx|syft|cncf\.flux)[.+]|spdx\b|sarif\b)/

const isConfig = (mediaType: string | null): boolean =>
  mediaType !== null && /config|container\.image|oci\.empty/.test(mediaType)

/**
 * Whether a manifest refers to another one, or has a type that only accompanies images. Unknown types are images: there is no
 * complete list of the types that clients run.
 */
const isArtifact = (
  { subject, artifactType, blobs }: Row,
  { config, configType }: { config: string | undefined; configType: string | undefined },
): boolean => {
  if (subject !== null) return true
  // The configuration comes first, whatever its type is called.
  if (SUPPLEMENT.test(artifactType ?? configType ?? blobs?.[0]?.mediaType ?? '')) return true
  const layers = (blobs ?? []).filter(({ digest }) => digest !== config)
  return layers.length > 0 && layers.every(({ mediaType }) => SUPPLEMENT.test(mediaType ?? ''))
}

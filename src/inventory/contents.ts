import { sql } from 'kysely'
import { isIndex } from '../events/target.js'
import type { Sql } from '../storage/database.js'

/** What the inventory knows of a manifest: what it is, and what it holds. */
export type KnownManifest = {
  digest: string
  kind: 'index' | 'image' | 'artifact'
  config?: string
  layers: string[]
  children: string[]
  /** Of an image, as linux/arm64/v8. */
  platform?: string
  /** Whether an index says so, or the configuration of the image. */
  platformFrom?: 'index' | 'config'
  /** The manifest has more layers or children than were read. */
  isCut: boolean
}

/**
 * Layers, and children, of one manifest that are read. An image has at most 127 layers; a hostile manifest of 4 MiB has 38,000.
 * The kind of a manifest is decided by these, so that the kind is the same whatever else is read.
 */
export const MOST_ENTRIES = 250

type Row = {
  digest: string
  mediaType: string | null
  artifactType: string | null
  subject: string | null
  known: boolean
  config: string | null
  configured: string
  listed: string | null
  blobs: { digest: string; mediaType: string | null }[] | null
  children: string[] | null
}

/**
 * Reads what is known of manifests, at most MOST_ENTRIES layers and children of each. Manifests whose contents are unknown are
 * left out.
 * @param digests each once
 */
export const contentsOfManifests = async (db: Sql, digests: readonly string[]): Promise<KnownManifest[]> => {
  if (digests.length === 0) return []
  const { rows } = await sql<Row>`
    select m.digest, m.media_type as "mediaType", m.artifact_type as "artifactType", m.subject, m.contents_known as known, m.config_digest as config,
      concat_ws('/', m.os, m.architecture, m.variant) as configured,
      (
        select concat_ws('/', c.os, c.architecture, c.variant) from inventory.manifest_children c
        where c.digest = m.digest and c.os is not null order by c.manifest_digest limit 1
      ) as listed,
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
      cross join lateral (select * from inventory.manifests where digest = wanted.digest offset 0) m
  `.execute(db)
  return rows.flatMap(knownManifest)
}

/** Of a manifest: which of some digests it lists as a configuration or layers, and as children. */
export type Listed = { manifest: string; blobs: string[]; children: string[] }

/** Looks up which of some digests manifests list: of a large manifest, what a reader asks for. */
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
  const { digest, mediaType, configured, listed } = row
  const children = row.children ?? []
  const blobs = row.blobs ?? []
  const isCut = children.length > MOST_ENTRIES || blobs.length > MOST_ENTRIES
  if (children.length > 0 || isIndex(mediaType ?? undefined)) {
    const kind = row.subject === null ? 'index' : 'artifact'
    return children.length > 0 || row.known ? [{ digest, kind, layers: [], children, isCut }] : []
  }
  if (blobs.length === 0) return []
  const config = row.config ?? blobs.find((blob) => isConfig(blob.mediaType))?.digest
  const configType = blobs.find((blob) => blob.digest === config)?.mediaType ?? undefined
  const layers = blobs.flatMap((blob) => (blob.digest === config ? [] : [blob.digest]))
  const kind = isArtifact(row, { config, configType }) ? 'artifact' : 'image'
  const platform = listed ?? configured
  return [
    {
      digest,
      kind,
      layers,
      children,
      isCut,
      ...(config !== undefined && { config }),
      ...(platform !== '' && { platform, platformFrom: listed === null ? 'config' : 'index' }),
    },
  ]
}

/** The media types of signatures, attestations and bills of materials, and of bundles that a controller applies. */
const SUPPLEMENT =
  /^application\/(?:vnd\.(?:dev\.cosign|dev\.sigstore|cncf\.notary|in-toto|dsse|cyclonedx|syft|cncf\.flux)[.+]|spdx\b|sarif\b)/

const isConfig = (mediaType: string | null): boolean =>
  mediaType !== null && /config|container\.image|oci\.empty/.test(mediaType)

/**
 * What refers to another manifest, is listed as an attestation in an index (BuildKit's "unknown/unknown"), or is of a type that
 * only accompanies images. Images of a type of their own are images: nobody can list all types that people run.
 */
const isArtifact = (
  { subject, artifactType, listed, blobs }: Row,
  { config, configType }: { config: string | undefined; configType: string | undefined },
): boolean => {
  if (subject !== null || listed?.startsWith('unknown/unknown') === true) return true
  // The configuration comes first, whatever its type is called.
  if (SUPPLEMENT.test(artifactType ?? configType ?? blobs?.[0]?.mediaType ?? '')) return true
  const layers = (blobs ?? []).filter(({ digest }) => digest !== config)
  return layers.length > 0 && layers.every(({ mediaType }) => SUPPLEMENT.test(mediaType ?? ''))
}

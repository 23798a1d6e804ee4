import { sql } from 'kysely'
import type { Sql, Transaction } from '../../storage/database.js'
import type { FetchedManifest } from '../registry/registry-client.js'
import { expandManifests } from './expand.js'
import { entriesOf, inStatements, type Entry } from './manifest-entries.js'

/** As learnManifests, of one. */
export const learnManifest = async (tx: Transaction, manifest: FetchedManifest): Promise<void> =>
  learnManifests(tx, [manifest])

/**
 * Stores what a registry told of manifests: what they are, their blobs or the manifests they list, and that their blobs are
 * where they were seen. A digest has one content, so what is known already is only completed; it makes no difference whether
 * events or this come first, or how often.
 * @param manifests each once
 */
export const learnManifests = async (tx: Transaction, manifests: readonly FetchedManifest[]): Promise<void> => {
  if (manifests.length === 0) return
  // One after the other: the rows first, where events wait for this and this for events (see expandManifests).
  await describe(tx, manifests)
  const { blobs, children } = entriesOf(manifests)
  for (const some of inStatements(blobs)) await storeBlobs(tx, some)
  for (const some of inStatements(children)) await storeChildren(tx, some)
  await expandManifests(
    tx,
    manifests.map(({ digest }) => digest),
  )
}

const describe = async (tx: Sql, manifests: readonly FetchedManifest[]): Promise<void> => {
  const platforms = manifests.map(({ platform = {} }) => platform)
  await sql`
    insert into inventory.manifests as m (digest, media_type, size, artifact_type, subject, config_digest,
      os, architecture, variant, contents_known, subject_known)
    select told.*, true, true from unnest(${column(manifests, 'digest')}::text[], ${column(manifests, 'mediaType')}::text[],
      ${column(manifests, 'size')}::bigint[], ${column(manifests, 'artifactType')}::text[],
      ${column(manifests, 'subject')}::text[], ${column(manifests, 'config')}::text[],
      ${column(platforms, 'os')}::text[], ${column(platforms, 'architecture')}::text[],
      ${column(platforms, 'variant')}::text[])
      as told (digest, media_type, size, artifact_type, subject, config_digest, os, architecture, variant)
    order by digest
    on conflict (digest) do update
      set media_type = greatest(m.media_type, excluded.media_type),
          size = greatest(m.size, excluded.size),
          artifact_type = coalesce(excluded.artifact_type, m.artifact_type),
          subject = coalesce(excluded.subject, m.subject),
          config_digest = coalesce(excluded.config_digest, m.config_digest),
          os = coalesce(excluded.os, m.os),
          architecture = coalesce(excluded.architecture, m.architecture),
          variant = coalesce(excluded.variant, m.variant),
          contents_known = true,
          subject_known = true,
          last_error = null
  `.execute(tx)
}

const storeBlobs = async (tx: Sql, entries: readonly Entry[]): Promise<void> => {
  await sql`
    insert into inventory.manifest_blobs as b (manifest_digest, position, digest, media_type, size)
    select told.* from unnest(${column(entries, 'manifest')}::text[], ${column(entries, 'position')}::int[],
      ${column(entries, 'digest')}::text[], ${column(entries, 'mediaType')}::text[], ${column(entries, 'size')}::bigint[])
      as told (manifest_digest, position, digest, media_type, size)
    order by manifest_digest, position
    on conflict (manifest_digest, position) do update
      set media_type = greatest(b.media_type, excluded.media_type), size = greatest(b.size, excluded.size)
      where b.media_type is null or b.size is null
  `.execute(tx)
}

const storeChildren = async (tx: Sql, entries: readonly Entry[]): Promise<void> => {
  const platforms = entries.map(({ platform }) => platform ?? {})
  await sql`
    insert into inventory.manifest_children as c (manifest_digest, position, digest, media_type, size, os, architecture, variant)
    select told.* from unnest(${column(entries, 'manifest')}::text[], ${column(entries, 'position')}::int[],
      ${column(entries, 'digest')}::text[], ${column(entries, 'mediaType')}::text[], ${column(entries, 'size')}::bigint[],
      ${column(platforms, 'os')}::text[], ${column(platforms, 'architecture')}::text[],
      ${column(platforms, 'variant')}::text[])
      as told (manifest_digest, position, digest, media_type, size, os, architecture, variant)
    order by manifest_digest, position
    on conflict (manifest_digest, position) do update
      set media_type = greatest(c.media_type, excluded.media_type),
          size = greatest(c.size, excluded.size),
          os = coalesce(c.os, excluded.os),
          architecture = coalesce(c.architecture, excluded.architecture),
          variant = coalesce(c.variant, excluded.variant)
      where c.media_type is null or c.size is null or c.os is null or c.architecture is null or c.variant is null
  `.execute(tx)
}

const column = <Row, Key extends keyof Row>(rows: readonly Row[], key: Key): (Row[Key] | null)[] =>
  rows.map((row) => row[key] ?? null)

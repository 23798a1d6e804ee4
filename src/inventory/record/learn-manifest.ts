import { sql } from 'kysely'
import { isIndexManifest } from '../../events/descriptor.js'
import type { Sql, Transaction } from '../../storage/sql/database.js'
import type { FetchedManifest } from '../../registries/client/registry-client.js'
import { propagateEverywhere } from './propagate-blobs.js'
import { entriesOf, inStatements, type Entry } from './manifest-entries.js'
import { noteDisproved } from './retract-entries.js'

/** Like learnManifests, for one manifest. */
export const learnManifest = async (tx: Transaction, manifest: FetchedManifest): Promise<void> =>
  learnManifests(tx, [manifest])

/**
 * Stores manifests that a registry returned: what they are, the blobs or manifests they list, and that their blobs are in the
 * repositories that have the manifest. The digest was verified, so this replaces what events stated, ends a contest, and no
 * event changes it afterwards. The result does not depend on whether events or this come first, or how often.
 * @param manifests each once
 */
export const learnManifests = async (tx: Transaction, manifests: readonly FetchedManifest[]): Promise<void> => {
  if (manifests.length === 0) return
  // Not in parallel: the rows come first, because transactions of events and this one wait for each other there (see
  // propagateEverywhere).
  await describe(tx, manifests)
  const { blobs, children } = entriesOf(manifests)
  await noteDisproved(
    tx,
    manifests.map(({ digest }) => digest),
    blobs,
  )
  await removeEntries(tx, manifests)
  for (const some of inStatements(blobs)) await storeBlobs(tx, some)
  for (const some of inStatements(children)) await storeChildren(tx, some)
  await propagateEverywhere(
    tx,
    manifests.map(({ digest }) => digest),
  )
}

const describe = async (tx: Sql, manifests: readonly FetchedManifest[]): Promise<void> => {
  const platforms = manifests.map(({ platform = {} }) => platform)
  await sql`
    insert into inventory.manifests as m (digest, media_type, size, artifact_type, subject, config_digest,
      os, architecture, variant, contents_known, subject_known)
    select incoming.*, true, true from unnest(${column(manifests, 'digest')}::text[], ${column(manifests, 'mediaType')}::text[],
      ${column(manifests, 'size')}::bigint[], ${column(manifests, 'artifactType')}::text[],
      ${column(manifests, 'subject')}::text[], ${column(manifests, 'config')}::text[],
      ${column(platforms, 'os')}::text[], ${column(platforms, 'architecture')}::text[],
      ${column(platforms, 'variant')}::text[])
      as incoming (digest, media_type, size, artifact_type, subject, config_digest, os, architecture, variant)
    order by digest
    on conflict (digest) do update
      set media_type = excluded.media_type,
          size = excluded.size,
          artifact_type = coalesce(excluded.artifact_type, m.artifact_type),
          subject = coalesce(excluded.subject, m.subject),
          config_digest = coalesce(excluded.config_digest, m.config_digest),
          os = coalesce(excluded.os, m.os),
          architecture = coalesce(excluded.architecture, m.architecture),
          variant = coalesce(excluded.variant, m.variant),
          contents_known = true,
          stated_by = null,
          withheld_in = null,
          completed_by = null,
          typed_by = null,
          contested = false,
          subject_known = true,
          last_error = null
  `.execute(tx)
}

/** Removes the entries that events stated and the manifests do not have: of the other kind, or beyond the end of the list. */
const removeEntries = async (tx: Sql, manifests: readonly FetchedManifest[]): Promise<void> => {
  const digests = column(manifests, 'digest')
  const counts = (ofIndexes: boolean): number[] =>
    manifests.map((manifest) => (isIndexManifest(manifest) === ofIndexes ? manifest.contents.length : 0))
  await sql`
    with listed as (
      select * from unnest(${digests}::text[], ${counts(false)}::int[], ${counts(true)}::int[]) as t (digest, blobs, children)
    ), other_blobs as (
      delete from inventory.manifest_blobs b using listed where b.manifest_digest = listed.digest and b.position >= listed.blobs
    )
    delete from inventory.manifest_children c using listed
    where c.manifest_digest = listed.digest and c.position >= listed.children
  `.execute(tx)
}

const storeBlobs = async (tx: Sql, entries: readonly Entry[]): Promise<void> => {
  await sql`
    insert into inventory.manifest_blobs as b (manifest_digest, position, digest, media_type, size)
    select incoming.* from unnest(${column(entries, 'manifest')}::text[], ${column(entries, 'position')}::int[],
      ${column(entries, 'digest')}::text[], ${column(entries, 'mediaType')}::text[], ${column(entries, 'size')}::bigint[])
      as incoming (manifest_digest, position, digest, media_type, size)
    order by manifest_digest, position
    on conflict (manifest_digest, position) do update
      set digest = excluded.digest, media_type = excluded.media_type, size = excluded.size
      where (b.digest, b.media_type, b.size) is distinct from (excluded.digest, excluded.media_type, excluded.size)
  `.execute(tx)
}

const storeChildren = async (tx: Sql, entries: readonly Entry[]): Promise<void> => {
  const platforms = entries.map(({ platform }) => platform ?? {})
  await sql`
    insert into inventory.manifest_children as c (manifest_digest, position, digest, media_type, size, os, architecture, variant)
    select incoming.* from unnest(${column(entries, 'manifest')}::text[], ${column(entries, 'position')}::int[],
      ${column(entries, 'digest')}::text[], ${column(entries, 'mediaType')}::text[], ${column(entries, 'size')}::bigint[],
      ${column(platforms, 'os')}::text[], ${column(platforms, 'architecture')}::text[],
      ${column(platforms, 'variant')}::text[])
      as incoming (manifest_digest, position, digest, media_type, size, os, architecture, variant)
    order by manifest_digest, position
    on conflict (manifest_digest, position) do update
      set digest = excluded.digest, media_type = excluded.media_type, size = excluded.size,
          os = excluded.os, architecture = excluded.architecture, variant = excluded.variant
      where (c.digest, c.media_type, c.size, c.os, c.architecture, c.variant) is distinct from
        (excluded.digest, excluded.media_type, excluded.size, excluded.os, excluded.architecture, excluded.variant)
  `.execute(tx)
}

const column = <Row, Key extends keyof Row>(rows: readonly Row[], key: Key): (Row[Key] | null)[] =>
  rows.map((row) => row[key] ?? null)

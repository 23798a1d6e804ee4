import type { Digest } from '../../events/reference.js'
import type { Descriptor } from '../../events/target.js'
import type { HotStatement, Run } from '../../storage/database.js'
import { joinStatements, type ManifestStatement } from './manifest-statements.js'
import type { SeenManifest } from './sightings.js'
import { storeEntries } from './statement-contents.js'

/**
 * Compares what events state about manifests that were known before with what is stored. Contents that were not known are stored;
 * a manifest about which two statements contradict each other becomes contested. What a registry showed itself is proven by its
 * digest, so that no event changes it, and a contested manifest waits for that proof.
 *
 * In a transaction that has locked the manifests, in a statement after the one that stored their rows.
 * @returns the digests whose contents were stored or completed, which expandManifests is to note as known.
 */
export const settleContents = async (tx: { run: Run }, stated: readonly SeenManifest[]): Promise<string[]> => {
  if (stated.length === 0) return []
  const rows = await tx.run<Row>(STORED, [
    stated.map(({ digest }) => digest),
    stated.map(({ contents }) => contents?.length ?? null),
  ])
  const stored = storedStatements(rows)
  const contested: string[] = []
  const stating: SeenManifest[] = []
  for (const manifest of stated) {
    const { digest } = manifest
    const known = stored.get(digest)
    // Proven, or contested already.
    if (!known) continue
    const joined = manifest.contested || known === 'another list' ? undefined : joinStatements(known, manifest)
    if (!joined) contested.push(digest)
    else if (known !== 'another list' && joined.contents !== known.contents) {
      stating.push({ ...joined, digest })
    }
  }
  if (contested.length > 0) await tx.run(CONTEST, [contested])
  await storeEntries(tx, stating)
  return stating.map(({ digest }) => digest)
}

/**
 * Manifests whose contents events may still change. Entries are read only if as many are stored as an event states, so that no
 * answer is larger than what was sent.
 */
const STORED: HotStatement = {
  name: 'stored_statements',
  text: `
    select m.digest as manifest, m.media_type as type, m.size::text as bytes, m.contents_known, n.entries, e.*
    from unnest($1::text[], $2::int[]) as stated (digest, entries)
      cross join lateral (
        select * from inventory.manifests where digest = stated.digest and not contested and not subject_known offset 0
      ) m
      cross join lateral (
        select case when m.contents_known and stated.entries is not null then
          (select count(*) from inventory.manifest_blobs where manifest_digest = m.digest)
          + (select count(*) from inventory.manifest_children where manifest_digest = m.digest) end = stated.entries as entries offset 0
      ) n
      left join lateral (
        select position, digest, media_type, size::text, null as os, null as architecture, null as variant
        from inventory.manifest_blobs where n.entries and manifest_digest = m.digest
        union all
        select position, digest, media_type, size::text, os, architecture, variant
        from inventory.manifest_children where n.entries and manifest_digest = m.digest
      ) e on true
    order by m.digest, e.position`,
}

const CONTEST: HotStatement = {
  name: 'contest_manifests',
  text: `
    with contested as (
      update inventory.manifests
      set contested = true, contents_known = false, media_type = null, size = null, tell_after = null,
        attempts = 0, next_attempt_at = now(), last_error = null
      where digest = any($1::text[]) and not contested and not subject_known
      returning digest
    ), blobs as (
      delete from inventory.manifest_blobs where manifest_digest in (select digest from contested)
    )
    delete from inventory.manifest_children where manifest_digest in (select digest from contested)`,
}

type Row = {
  manifest: string
  type: string | null
  bytes: string | null
  contents_known: boolean
  /** Whether as many entries are stored as the event states; null without either list. */
  entries: boolean | null
  position: number | null
  digest: Digest
  media_type: string | null
  size: string | null
  os: string | null
  architecture: string | null
  variant: string | null
}

/** What is stored of each manifest; of a list of another length only that. */
const storedStatements = (rows: readonly Row[]): Map<string, ManifestStatement | 'another list'> => {
  const stored = new Map<string, ManifestStatement | 'another list'>()
  const lists = new Map<string, Descriptor[]>()
  for (const row of rows) {
    const { manifest, type, bytes, contents_known, entries, position } = row
    if (entries === false) {
      stored.set(manifest, 'another list')
      continue
    }
    if (!stored.has(manifest)) {
      const contents: Descriptor[] = []
      lists.set(manifest, contents)
      stored.set(manifest, {
        ...(type !== null && { mediaType: type }),
        ...(bytes !== null && { size: Number(bytes) }),
        ...(contents_known && { contents }),
      })
    }
    if (position !== null) lists.get(manifest)?.push(descriptorOf(row))
  }
  return stored
}

const descriptorOf = ({ digest, media_type, size, os, architecture, variant }: Row): Descriptor => ({
  digest,
  ...(media_type !== null && { mediaType: media_type }),
  ...(size !== null && { size: Number(size) }),
  ...((os ?? architecture ?? variant) !== null && {
    platform: {
      ...(os !== null && { os }),
      ...(architecture !== null && { architecture }),
      ...(variant !== null && { variant }),
    },
  }),
})

import type { Digest } from '../../events/reference.js'
import { isManifest, type Descriptor } from '../../events/descriptor.js'
import { arrayText } from '../../storage/sql/array-text.js'
import type { HotStatement, Run } from '../../storage/sql/database.js'
import { hasList } from '../model/known-in.js'
import { isComplete, joinStatements, type ManifestStatement } from './manifest-statements.js'
import { noteRejected } from './retract-entries.js'
import type { SeenManifest } from './observations.js'
import { storeEntries } from './contents-statement.js'

/**
 * Compares what events state about existing manifests with what is stored. New contents are stored, with the registries that
 * stated them. If two statements about a manifest contradict each other, it becomes contested. No event changes contents that a
 * registry showed itself, because the digest proves them. A contested manifest stays contested until a registry shows it. Must
 * run in a transaction that has locked the manifests, in a statement after the one that stored their rows.
 * @returns the digests whose contents were stored or completed, or were stated by another registry: propagateEverywhere
 * propagates them.
 */
export const settleContents = async (tx: { run: Run }, stated: readonly SeenManifest[]): Promise<string[]> => {
  if (stated.length === 0) return []
  const rows = await tx.run<Row>(STORED, [
    stated.map(({ digest }) => digest),
    stated.map(({ contents }) => contents?.length ?? null),
  ])
  const stored = storedStatements(rows)
  const contested: string[] = []
  const rejected: SeenManifest[] = []
  const stating: SeenManifest[] = []
  const credited: Credit[] = []
  const learnt = new Set<string>()
  for (const manifest of stated) {
    const { digest } = manifest
    const known = stored.get(digest)
    const joined = manifest.contested || !known || known.isOfOtherLength ? undefined : joinStatements(known, manifest)
    if (!known || known.isFinal) {
      // Proven, or contested already: a different statement changes nothing.
      if (manifest.contents && joined?.contents !== known?.contents) rejected.push(manifest)
      continue
    }
    if (!joined) {
      contested.push(digest)
      rejected.push(manifest)
      continue
    }
    const credit = creditOf(known, manifest, joined)
    if (credit) credited.push({ digest, ...credit })
    if (joined.contents !== known.contents) stating.push({ ...manifest, ...joined })
    if (joined.contents !== known.contents || credit?.isListed) learnt.add(digest)
  }
  if (credited.length > 0) await tx.run(CREDIT, creditValues(credited))
  if (rejected.length > 0) await noteRejected(tx, { contested, rejected })
  if (contested.length > 0) await tx.run(CONTEST, [contested])
  await storeEntries(tx, stating)
  return [...learnt]
}

/** The registries that are stored as having stated something about a manifest. */
type Credit = Record<'statedBy' | 'completedBy' | 'typedBy', readonly string[] | null> & {
  digest: string
  /** The joined type and size, which the row of a list without a type lacks. */
  mediaType: string | undefined
  size: number | undefined
  isListed: boolean
}

/**
 * @returns undefined if all registries are stored already. Null in a column means that the column is known in every registry.
 */
const creditOf = (
  known: Stored,
  seen: SeenManifest,
  { mediaType, size, contents: joined }: ManifestStatement,
): Omit<Credit, 'digest'> | undefined => {
  const statedBy = known.contents && known.statedBy === null ? null : joinedNames(known.statedBy ?? [], seen.statedBy)
  const typedBy = typedWith(known, seen, mediaType)
  const isListed = statedBy !== null && statedBy.length > (known.statedBy?.length ?? 0)
  const completedBy = completedWith(known, seen, joined)
  const isCompleted = completedBy?.join(' ') !== known.completedBy?.join(' ')
  const isTyped = typedBy !== null && typedBy.length > (known.typedBy?.length ?? 0)
  const isDescribed = mediaType !== known.mediaType || size !== known.size
  return isListed || isCompleted || isTyped || isDescribed
    ? { statedBy, completedBy, typedBy, isListed, mediaType, size }
    : undefined
}

/** Registries that stated the stored media type, which is the greatest one that any registry stated. */
const typedWith = (known: Stored, seen: SeenManifest, mediaType: string | undefined): readonly string[] | null => {
  const typedBy = mediaType === known.mediaType ? known.typedBy : []
  if (typedBy === null && mediaType !== undefined) return null
  return mediaType === seen.mediaType ? joinedNames(typedBy ?? [], seen.typedBy) : (typedBy ?? [])
}

/** Registries with a single statement that has all stored fields of the list. */
const completedWith = (
  known: Stored,
  seen: SeenManifest,
  joined: readonly Descriptor[] | undefined,
): readonly string[] | null => {
  const others = joined === known.contents ? known.completedBy : []
  if (others === null && known.contents) return null
  const isAll = seen.contents !== undefined && joined !== undefined && isComplete(seen.contents, joined)
  return isAll ? joinedNames(others ?? [], seen.completedBy) : (others ?? [])
}

const joinedNames = (some: readonly string[], more: ReadonlySet<string>): string[] =>
  [...new Set([...some, ...more])].sort()

const creditValues = (credited: readonly Credit[]): unknown[] => [
  credited.map(({ digest }) => digest),
  credited.map(({ statedBy }) => statedBy && arrayText(statedBy)),
  credited.map(({ completedBy }) => completedBy && arrayText(completedBy)),
  credited.map(({ typedBy }) => typedBy && arrayText(typedBy)),
  credited.map(({ mediaType }) => mediaType ?? null),
  credited.map(({ size }) => size ?? null),
]

const CREDIT: HotStatement = {
  name: 'credit_statements',
  text: `
    update inventory.manifests m
    set stated_by = credited.stated_by::text[], completed_by = credited.completed_by::text[], typed_by = credited.typed_by::text[],
      media_type = greatest(m.media_type, credited.media_type), size = greatest(m.size, credited.size)
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
      as credited (digest, stated_by, completed_by, typed_by, media_type, size)
    where m.digest = credited.digest`,
}

/**
 * Reads what is stored about existing manifests. Entries are read only if their number is the one that an event states, so that
 * a result is not larger than the request.
 */
const STORED: HotStatement = {
  name: 'stored_statements',
  text: `
    select m.digest as manifest, m.media_type as type, m.size::text as bytes, ${hasList('m')} as listed, n.entries,
      exists (select from inventory.manifest_children where manifest_digest = m.digest) as is_index,
      m.stated_by, m.completed_by, m.typed_by, m.contested or m.subject_known as final, e.*
    from unnest($1::text[], $2::int[]) as stated (digest, entries)
      cross join lateral (select * from inventory.manifests where digest = stated.digest offset 0) m
      cross join lateral (
        select case when ${hasList('m')} and stated.entries is not null then
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
        stated_by = '{}', completed_by = '{}', typed_by = '{}', withheld_in = null,
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
  listed: boolean
  is_index: boolean
  stated_by: string[] | null
  completed_by: string[] | null
  typed_by: string[] | null
  /** Whether the manifest is proven or contested: no event changes it. */
  final: boolean
  /** Whether the number of stored entries is the one that the event states; null if either list is missing. */
  entries: boolean | null
  position: number | null
  digest: Digest
  media_type: string | null
  size: string | null
  os: string | null
  architecture: string | null
  variant: string | null
}

/** What is stored about a manifest. If its list has another length than that of the event, no entries are read. */
type Stored = ManifestStatement & {
  statedBy: readonly string[] | null
  completedBy: readonly string[] | null
  typedBy: readonly string[] | null
  isFinal: boolean
  isOfOtherLength: boolean
}

const storedStatements = (rows: readonly Row[]): Map<string, Stored> => {
  const stored = new Map<string, Stored>()
  const lists = new Map<string, Descriptor[]>()
  for (const row of rows) {
    const { manifest, type, bytes, listed, entries, position } = row
    if (!stored.has(manifest)) {
      const contents: Descriptor[] = []
      lists.set(manifest, contents)
      stored.set(manifest, {
        ...(type !== null && { mediaType: type }),
        ...(bytes !== null && { size: Number(bytes) }),
        ...(listed && { contents }),
        ...(listed && !(type !== null && isManifest(type)) && { kind: row.is_index ? 'index' : 'image' }),
        statedBy: row.stated_by,
        completedBy: row.completed_by,
        typedBy: row.typed_by,
        isFinal: row.final,
        isOfOtherLength: entries === false,
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

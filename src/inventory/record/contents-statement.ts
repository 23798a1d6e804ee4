import type { Run } from '../../storage/sql/database.js'
import { joinerOf, type Column, type FilledPart, type StatementPart } from '../../storage/sql/statement-parts.js'
import { entriesOf, inStatements, isLarge, type Entry } from './manifest-entries.js'
import type { SeenManifest, Observations } from './observations.js'

/** Which of the entries are stored, and how an existing row `o` is changed. */
type Target = Pick<StatementPart, 'requires'> & {
  name: string
  from: string
  conflict: (columns: readonly string[]) => string
}

const OF_NEW: Target = {
  name: 'new',
  requires: ['seen_manifests'],
  from: 'join seen_manifests m on m.digest = incoming.manifest_digest and m.is_new',
  conflict: () => 'on conflict do nothing',
}
const OF_KNOWN: Target = {
  name: 'known',
  requires: [],
  from: '',
  conflict: (columns) => `on conflict (manifest_digest, position) do update
        set ${columns.map((column) => `${column} = coalesce(o.${column}, excluded.${column})`).join(', ')}`,
}

const blobsPart = ({ name, requires, from, conflict }: Target): StatementPart => ({
  name: `blobs of ${name} manifests`,
  provides: ['stored_blobs'],
  requires,
  text: (p) => `
    stored_blobs as (
      insert into inventory.manifest_blobs as o (manifest_digest, position, digest, media_type, size)
      select incoming.* from unnest(${p(1)}::text[], ${p(2)}::int[], ${p(3)}::text[], ${p(4)}::text[], ${p(5)}::bigint[])
        as incoming (manifest_digest, position, digest, media_type, size) ${from}
      order by manifest_digest, position
      ${conflict(['media_type', 'size'])}
    )`,
})

const childrenPart = ({ name, requires, from, conflict }: Target): StatementPart => ({
  name: `children of ${name} manifests`,
  provides: ['stored_children'],
  requires,
  text: (p) => `
    stored_children as (
      insert into inventory.manifest_children as o
        (manifest_digest, position, digest, media_type, size, os, architecture, variant)
      select incoming.* from unnest(${p(1)}::text[], ${p(2)}::int[], ${p(3)}::text[], ${p(4)}::text[], ${p(5)}::bigint[],
        ${p(6)}::text[], ${p(7)}::text[], ${p(8)}::text[])
        as incoming (manifest_digest, position, digest, media_type, size, os, architecture, variant) ${from}
      order by manifest_digest, position
      ${conflict(['media_type', 'size', 'os', 'architecture', 'variant'])}
    )`,
})

export const BLOBS_OF_NEW = blobsPart(OF_NEW)
export const CHILDREN_OF_NEW = childrenPart(OF_NEW)
const BLOBS_OF_KNOWN = blobsPart(OF_KNOWN)
const CHILDREN_OF_KNOWN = childrenPart(OF_KNOWN)

const fillBlobs = (part: StatementPart, entries: readonly Entry[]): FilledPart => ({ part, values: columnsOf(entries) })

const fillChildren = (part: StatementPart, entries: readonly Entry[]): FilledPart => ({
  part,
  values: [
    ...columnsOf(entries),
    entries.map(({ platform }) => platform?.os ?? null),
    entries.map(({ platform }) => platform?.architecture ?? null),
    entries.map(({ platform }) => platform?.variant ?? null),
  ],
})

const columnsOf = (entries: readonly Entry[]): Column[] => [
  entries.map(({ manifest }) => manifest),
  entries.map(({ position }) => position),
  entries.map(({ digest }) => digest),
  entries.map(({ mediaType }) => mediaType ?? null),
  entries.map(({ size }) => size ?? null),
]

/**
 * The contents of manifests that events stated themselves (`target.references`): blobs of images, manifests of indexes. Only
 * contents of new manifests are stored here: `settleContents` compares the others with the stored ones, and stores large lists.
 */
export const fillContents = ({ manifests }: Observations): FilledPart[] => {
  const incoming = entriesOf(manifests.filter((manifest) => !isLarge({ contents: manifest.contents })))
  return [
    ...(incoming.blobs.length > 0 ? [fillBlobs(BLOBS_OF_NEW, incoming.blobs)] : []),
    ...(incoming.children.length > 0 ? [fillChildren(CHILDREN_OF_NEW, incoming.children)] : []),
  ]
}

const joinEntries = joinerOf([BLOBS_OF_KNOWN, CHILDREN_OF_KNOWN], { requires: [], text: () => 'select' })

/**
 * Stores or completes the entries of manifests that existed before. Each statement stores a part, so that no statement takes
 * long, however large the manifest. The caller must have locked the manifests (lockManifests).
 */
export const storeEntries = async ({ run }: { run: Run }, manifests: readonly SeenManifest[]): Promise<void> => {
  const incoming = entriesOf(manifests)
  const parts = [
    ...inStatements(incoming.blobs).map((some) => fillBlobs(BLOBS_OF_KNOWN, some)),
    ...inStatements(incoming.children).map((some) => fillChildren(CHILDREN_OF_KNOWN, some)),
  ]
  for (const part of parts) {
    const { statement, values } = joinEntries([part])
    await run(statement, values)
  }
}

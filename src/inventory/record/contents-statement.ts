import type { Run } from '../../storage/sql/database.js'
import { joinParts, type Column, type StatementPart } from '../../storage/sql/statement-parts.js'
import { entriesOf, inStatements, isLarge, type Entry } from './manifest-entries.js'
import type { SeenManifest, Observations } from './observations.js'
import { time } from './times.js'

/**
 * The contents of manifests that events stated themselves (`target.references`): blobs of images, manifests of indexes. Only
 * contents of new manifests are stored here: `settleContents` compares the others with the stored ones, and stores large lists.
 */
export const contents = ({ manifests }: Observations): StatementPart[] => {
  const incoming = entriesOf(manifests.filter((manifest) => !isLarge({ contents: manifest.contents })))
  return [
    ...(incoming.blobs.length > 0 ? [blobs(incoming.blobs, OF_NEW)] : []),
    ...(incoming.children.length > 0 ? [children(incoming.children, OF_NEW)] : []),
  ]
}

/**
 * Stores or completes the entries of manifests that existed before. Each statement stores a part, so that no statement takes
 * long, however large the manifest. The caller must have locked the manifests (lockManifests).
 */
export const storeEntries = async ({ run }: { run: Run }, manifests: readonly SeenManifest[]): Promise<void> => {
  const incoming = entriesOf(manifests)
  const parts = [
    ...inStatements(incoming.blobs).map((some) => blobs(some, OF_KNOWN)),
    ...inStatements(incoming.children).map((some) => children(some, OF_KNOWN)),
  ]
  for (const part of parts) {
    const { statement, values } = joinParts([part], () => 'select')
    await run(statement, values)
  }
}

/** Which of the entries are stored, and how an existing row `o` is changed. */
type Target = { key: string; from: string; conflict: (columns: readonly string[]) => string }

const OF_NEW: Target = {
  key: '',
  from: 'join seen_manifests m on m.digest = incoming.manifest_digest and m.is_new',
  conflict: () => 'on conflict do nothing',
}
const OF_KNOWN: Target = {
  key: 'k',
  from: '',
  conflict: (columns) => `on conflict (manifest_digest, position) do update
        set ${columns.map((column) => `${column} = coalesce(o.${column}, excluded.${column})`).join(', ')}`,
}

const blobs = (entries: readonly Entry[], { key, from, conflict }: Target): StatementPart => ({
  key: `i${key}`,
  text: (p) => `
    stored_blobs as (
      insert into inventory.manifest_blobs as o (manifest_digest, position, digest, media_type, size)
      select incoming.* from unnest(${p(1)}::text[], ${p(2)}::int[], ${p(3)}::text[], ${p(4)}::text[], ${p(5)}::bigint[])
        as incoming (manifest_digest, position, digest, media_type, size) ${from}
      order by manifest_digest, position
      ${conflict(['media_type', 'size'])}
    )`,
  values: columnsOf(entries),
})

const children = (entries: readonly Entry[], { key, from, conflict }: Target): StatementPart => ({
  key: `x${key}`,
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

export const changes = ({ changes: rows }: Observations): StatementPart => ({
  key: 'c',
  text: (p) => `
    stored_changes as (
      insert into inventory.changes (event_id, repository_id, at, action, digest, tag, actor_id)
      select event_id, id, at, action, digest, tag, actor_id
      from unnest(${p(1)}::uuid[], ${p(2)}::int[], ${p(3)}::timestamptz[], ${p(4)}::text[], ${p(5)}::text[], ${p(6)}::text[],
        ${p(7)}::bigint[]) as incoming (event_id, number, at, action, digest, tag, actor_id)
      join batch_repositories using (number)
      order by event_id
      on conflict do nothing
    )`,
  values: [
    rows.map(({ event }) => event),
    rows.map(({ repository }) => repository),
    rows.map(({ at }) => time(at)),
    rows.map(({ action }) => action),
    rows.map(({ digest }) => digest ?? null),
    rows.map(({ tag }) => tag ?? null),
    rows.map(({ actor }) => actor?.id ?? null),
  ],
})

export const lookups = ({ lookups: rows, received }: Observations): StatementPart => ({
  key: 'l',
  text: (p) => `
    stored_lookups as (
      insert into inventory.tag_lookups (event_id, repository_id, method, digest, tag, origin, at, received_at, joined, settled)
      select event_id, id, method, digest, tag, origin, at, ${p(8)}::timestamptz,
        method = 'HEAD' and tag is null, method <> 'HEAD'
      from unnest(${p(1)}::uuid[], ${p(2)}::int[], ${p(3)}::text[], ${p(4)}::text[], ${p(5)}::text[], ${p(6)}::text[],
        ${p(7)}::timestamptz[]) as incoming (event_id, number, method, digest, tag, origin, at)
      join batch_repositories using (number)
      order by event_id
      on conflict do nothing
    )`,
  values: [
    rows.map(({ event }) => event),
    rows.map(({ repository }) => repository),
    rows.map(({ method }) => method),
    rows.map(({ digest }) => digest),
    rows.map(({ tag }) => tag ?? null),
    rows.map(({ origin }) => origin),
    rows.map(({ at }) => time(at)),
    time(received),
  ],
})

/** A repeated event adds a duplicate row: a unique key would cost more for each push than the row does. */
export const pushes = ({ pushes: rows, received }: Observations): StatementPart => ({
  key: 'p',
  text: (p) => `
    recent_pushes as (
      insert into inventory.recent_pushes (repository_id, reference, origin, at, received_at)
      select id, reference, origin, at, ${p(5)}::timestamptz
      from unnest(${p(1)}::int[], ${p(2)}::text[], ${p(3)}::text[], ${p(4)}::timestamptz[])
        as pushed (number, reference, origin, at)
      join batch_repositories using (number)
    )`,
  values: [
    rows.map(({ repository }) => repository),
    rows.map(({ reference }) => reference),
    rows.map(({ origin }) => origin),
    rows.map(({ at }) => time(at)),
    time(received),
  ],
})

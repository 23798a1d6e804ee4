import { INDEXES, MANIFESTS as MANIFEST_TYPES } from '../../events/descriptor.js'
import { arrayText } from '../../storage/sql/array-text.js'
import type { FilledPart, StatementPart } from '../../storage/sql/statement-parts.js'
import { hasList } from '../model/known-in.js'
import { ACTORS, fillActors } from './actors.js'
import { isLarge } from './manifest-entries.js'
import { repositoryId } from './repository-id.js'
import type { SeenManifest, Observations } from './observations.js'
import { BLOBS_OF_NEW, CHILDREN_OF_NEW, fillContents } from './contents-statement.js'
import { CHANGES, fillChanges, fillLookups, fillPushes, LOOKUPS, PUSHES } from './history-statement.js'
import { time, times } from './times.js'
import { BLOB, MANIFEST, TAG, mergeOnConflict } from './merge-rows.js'

/** `batch_repositories` has the id of each repository by its number in the batch, for the other parts. */
const REPOSITORIES: StatementPart = {
  name: 'repositories',
  provides: ['seen_repositories', 'batch_repositories'],
  requires: [],
  text: (p) => `
    seen_repositories as (
      insert into inventory.repositories as r
        (id, registry, name, first_seen_at, last_seen_at, deleted_at, undecided_at) overriding system value
      select ${repositoryId('known.id')}, seen.*
      from unnest(${p(1)}::text[], ${p(2)}::text[], ${p(3)}::timestamptz[], ${p(4)}::timestamptz[], ${p(5)}::timestamptz[],
        ${p(6)}::timestamptz[]) as seen (registry, name, first_seen_at, last_seen_at, deleted_at, undecided_at)
        left join lateral (
          select id from inventory.repositories where registry = seen.registry and name = seen.name offset 0
        ) known on true
      order by seen.registry, seen.name
      on conflict (registry, name) do update
        set first_seen_at = least(r.first_seen_at, excluded.first_seen_at),
            last_seen_at = greatest(r.last_seen_at, excluded.last_seen_at),
            deleted_at = greatest(r.deleted_at, excluded.deleted_at),
            undecided_at = greatest(r.undecided_at, excluded.undecided_at)
      returning id, registry, name, deleted_at
    ), batch_repositories as (
      select number, id, deleted_at
      from unnest(${p(1)}::text[], ${p(2)}::text[]) with ordinality as wanted (registry, name, number)
      join seen_repositories using (registry, name)
    )`,
}

const fillRepositories = ({ repositories: rows }: Observations): FilledPart => ({
  part: REPOSITORIES,
  values: [
    rows.map(({ registry }) => registry),
    rows.map(({ name }) => name),
    rows.map(({ first }) => time(first)),
    rows.map(({ last }) => time(last)),
    rows.map(({ deleted }) => time(deleted)),
    rows.map(({ undecided }) => time(undecided)),
  ],
})

const oneOf = (types: ReadonlySet<string>): string => `(${[...types].map((type) => `'${type}'`).join(', ')})`

/** Whether a row has the media type of an index; null without a type. */
const isIndexRow = (row: string): string => `${row}.media_type in ${oneOf(INDEXES)}`

/**
 * Inserts new manifests. For existing ones, only the type and the size are completed here: `settleContents` compares statements that
 * contradict the row, and stores the contents. It also completes a row with a list and without a known type: only the entries show the
 * kind of such a list (manifestKindOf), and this statement does not see entries that another transaction stores. As in renames,
 * repositories are locked before manifests: `batch_repositories` is read first.
 */
const MANIFESTS: StatementPart = {
  name: 'manifests',
  provides: ['seen_manifests'],
  requires: ['batch_repositories'],
  text: (p) => `
    seen_manifests as (
      insert into inventory.manifests as m (digest, media_type, size, contents_known, contested, stated_by, completed_by, typed_by)
      select digest, media_type, size, contents_known, contested, stated_by::text[], completed_by::text[], typed_by::text[]
      from unnest(${p(1)}::text[], ${p(2)}::text[], ${p(3)}::bigint[], ${p(4)}::boolean[], ${p(5)}::boolean[],
        ${p(6)}::text[], ${p(7)}::text[], ${p(8)}::text[])
        as seen (digest, media_type, size, contents_known, contested, stated_by, completed_by, typed_by)
      where (select count(*) from batch_repositories) > 0
      order by digest
      on conflict (digest) do update
        set media_type = greatest(m.media_type, excluded.media_type), size = greatest(m.size, excluded.size),
            -- settleContents adds the registries that state the type: until then, the type is known in no registry.
            typed_by = case when m.media_type is distinct from greatest(m.media_type, excluded.media_type) then '{}' else m.typed_by end
        where (m.media_type is distinct from greatest(m.media_type, excluded.media_type)
            or m.size is distinct from greatest(m.size, excluded.size))
          and not m.contested and not m.subject_known
          and case when m.media_type is null then not ${hasList('m')} else m.media_type in ${oneOf(MANIFEST_TYPES)} end
          and (excluded.media_type in ${oneOf(MANIFEST_TYPES)}) is not false
          and (${isIndexRow('m')} = ${isIndexRow('excluded')}) is not false
          and (nullif(m.size, 0) = nullif(excluded.size, 0)) is not false
      returning digest, xmax = 0 as is_new
    )`,
}

const fillManifests = ({ manifests: rows }: Observations): FilledPart => ({
  part: MANIFESTS,
  values: [
    rows.map(({ digest }) => digest),
    rows.map(({ mediaType }) => mediaType ?? null),
    rows.map(({ size }) => size ?? null),
    rows.map((row) => isStoredWithRow(row) && [...row.shownBy].every((registry) => row.statedBy.has(registry))),
    rows.map(({ contested = false }) => contested),
    rows.map((row) => registries(isStoredWithRow(row) ? row.statedBy : [])),
    rows.map((row) => registries(isStoredWithRow(row) ? row.completedBy : [])),
    rows.map(({ contested, typedBy }) => registries(contested ? [] : typedBy)),
  ],
})

/** Whether the list of a new manifest is stored in the same statement as its row. */
const isStoredWithRow = ({ contents, contested }: SeenManifest): boolean =>
  contents !== undefined && contested !== true && !isLarge({ contents })

const registries = (some: Iterable<string>): string => arrayText([...some].sort())

const MANIFESTS_IN_REPOSITORIES: StatementPart = {
  name: 'manifests in repositories',
  provides: ['seen_in_repositories'],
  requires: ['batch_repositories'],
  text: (p) => `
    seen_in_repositories as (
      insert into inventory.repository_manifests as o
        (repository_id, digest, pushed_at, pulled_at, checked_at, confirmed_at, first_seen_at, deleted_at)
      select id, digest, pushed_at, pulled_at, checked_at, confirmed_at, first_seen_at,
        greatest(seen.deleted_at, batch_repositories.deleted_at)
      from unnest(${p(1)}::int[], ${p(2)}::text[], ${p(3)}::timestamptz[], ${p(4)}::timestamptz[], ${p(5)}::timestamptz[],
        ${p(6)}::timestamptz[], ${p(7)}::timestamptz[], ${p(8)}::timestamptz[])
        as seen (number, digest, pushed_at, pulled_at, checked_at, confirmed_at, first_seen_at, deleted_at)
      join batch_repositories using (number)
      order by id, digest
      ${mergeOnConflict(MANIFEST)}
    )`,
}

const fillManifestsInRepositories = ({ manifestsInRepositories: rows }: Observations): FilledPart => ({
  part: MANIFESTS_IN_REPOSITORIES,
  values: [
    rows.map(({ repository }) => repository),
    rows.map(({ digest }) => digest),
    ...times(rows, ['pushed', 'pulled', 'checked', 'confirmed', 'first', 'deleted']),
  ],
})

/**
 * In a repository that was ever deleted, propagateKnownBlobs adds the implied blobs: a rename may have brought the manifest
 * there since.
 */
const BLOBS_IN_REPOSITORIES: StatementPart = {
  name: 'blobs in repositories',
  provides: ['seen_blobs'],
  requires: ['batch_repositories'],
  text: (p) => `
    seen_blobs as (
      insert into inventory.repository_blobs as o
        (repository_id, digest, size, pushed_at, pulled_at, checked_at, mounted_at, manifest_at, first_seen_at, deleted_at, implied)
      select id, digest, size, pushed_at, pulled_at, checked_at, mounted_at,
        case when batch_repositories.deleted_at is null then manifest_at end, first_seen_at,
        greatest(seen.deleted_at, batch_repositories.deleted_at), implied and batch_repositories.deleted_at is null
      from unnest(${p(1)}::int[], ${p(2)}::text[], ${p(3)}::bigint[], ${p(4)}::timestamptz[], ${p(5)}::timestamptz[],
        ${p(6)}::timestamptz[], ${p(7)}::timestamptz[], ${p(8)}::timestamptz[], ${p(9)}::timestamptz[],
        ${p(10)}::timestamptz[], ${p(11)}::boolean[])
        as seen (number, digest, size, pushed_at, pulled_at, checked_at, mounted_at, manifest_at, first_seen_at, deleted_at, implied)
      join batch_repositories using (number)
      where not implied or batch_repositories.deleted_at is null or seen.first_seen_at is not null or seen.deleted_at is not null
      order by id, digest
      ${mergeOnConflict(BLOB, { without: ['confirmed_at'] })}
    )`,
}

const fillBlobsInRepositories = ({ blobsInRepositories: rows }: Observations): FilledPart => ({
  part: BLOBS_IN_REPOSITORIES,
  values: [
    rows.map(({ repository }) => repository),
    rows.map(({ digest }) => digest),
    rows.map(({ size }) => size ?? null),
    ...times(rows, ['pushed', 'pulled', 'checked', 'mounted']),
    rows.map(({ manifest }) => time(manifest)),
    ...times(rows, ['first', 'deleted']),
    rows.map(({ implied = false }) => implied),
  ],
})

const TAGS: StatementPart = {
  name: 'tags',
  provides: ['seen_tags'],
  requires: ['batch_repositories'],
  text: (p) => `
    seen_tags as (
      insert into inventory.tags as o
        (repository_id, name, digest, pointed_at, pushed_at, pulled_at, checked_at, asked_at, undecided_at, first_seen_at, deleted_at)
      select id, name, digest, pointed_at, pushed_at, pulled_at, checked_at, asked_at, undecided_at, first_seen_at,
        greatest(seen.deleted_at, batch_repositories.deleted_at)
      from unnest(${p(1)}::int[], ${p(2)}::text[], ${p(3)}::text[], ${p(4)}::timestamptz[], ${p(5)}::timestamptz[],
        ${p(6)}::timestamptz[], ${p(7)}::timestamptz[], ${p(8)}::timestamptz[], ${p(9)}::timestamptz[], ${p(10)}::timestamptz[],
        ${p(11)}::timestamptz[])
        as seen (number, name, digest, pointed_at, pushed_at, pulled_at, checked_at, asked_at, undecided_at, first_seen_at, deleted_at)
      join batch_repositories using (number)
      order by id, name
      ${mergeOnConflict(TAG)}
    )`,
}

const fillTags = ({ tags: rows }: Observations): FilledPart => ({
  part: TAGS,
  values: [
    rows.map(({ repository }) => repository),
    rows.map(({ name }) => name),
    rows.map(({ digest }) => digest ?? null),
    rows.map(({ pointed }) => time(pointed)),
    ...times(rows, ['pushed', 'pulled', 'checked']),
    rows.map(({ asked }) => time(asked)),
    rows.map(({ undecided }) => time(undecided)),
    ...times(rows, ['first', 'deleted']),
  ],
})

/**
 * The parts of a batch's statement that update the inventory. Each row is merged with the stored one: the greatest time wins,
 * so that neither the order of events nor their repetition matters (docs/decisions/0009). Rows are locked in the order of their
 * keys, so that concurrent processes do not deadlock.
 */
export const INVENTORY_PARTS: readonly StatementPart[] = [
  REPOSITORIES,
  MANIFESTS,
  MANIFESTS_IN_REPOSITORIES,
  BLOBS_IN_REPOSITORIES,
  TAGS,
  BLOBS_OF_NEW,
  CHILDREN_OF_NEW,
  ACTORS,
  CHANGES,
  LOOKUPS,
  PUSHES,
]

/** The parts that a batch needs, in the order of INVENTORY_PARTS. */
export const fillInventory = (seen: Observations): FilledPart[] =>
  seen.repositories.length === 0
    ? []
    : [
        fillRepositories(seen),
        ...(seen.manifests.length > 0 ? [fillManifests(seen)] : []),
        ...(seen.manifestsInRepositories.length > 0 ? [fillManifestsInRepositories(seen)] : []),
        ...(seen.blobsInRepositories.length > 0 ? [fillBlobsInRepositories(seen)] : []),
        ...(seen.tags.length > 0 ? [fillTags(seen)] : []),
        ...fillContents(seen),
        ...fillActors(seen.changes),
        ...(seen.changes.length > 0 ? [fillChanges(seen)] : []),
        ...(seen.lookups.length > 0 ? [fillLookups(seen)] : []),
        ...(seen.pushes.length > 0 ? [fillPushes(seen)] : []),
      ]

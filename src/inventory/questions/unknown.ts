import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import type { QueryParameters, Question } from './question.js'
import { repositoryIdsOf } from './sql-parts.js'
import { hasImageConfig } from './unused-manifests.js'

/**
 * What an answer lacks because it is unknown: `contents` and `subjects` of manifests, `sizes` of blobs; `manifests` and `blobs`
 * that nothing known uses, but something unknown may use. The summary counts these. `platforms` are those of the images in the
 * answer itself.
 */
export type UnknownKind = SummaryKind | 'platforms'
export type SummaryKind = 'contents' | 'subjects' | 'sizes' | 'manifests' | 'blobs'
export type Unknown = Record<UnknownKind, number>

const COLUMNS: Record<SummaryKind, string> = {
  contents: 'unknown_contents',
  subjects: 'unknown_subjects',
  sizes: 'unknown_sizes',
  manifests: 'undecided_manifests',
  blobs: 'undecided_blobs',
}

const INCLUDE_REFERENCES = 'add "includereferences: true" below "notifications: events:" to the configuration of the'

/** How to make contents known, for the operators of the registry and of Tallyman. */
export const HOW_TO_KNOW_CONTENTS = `${INCLUDE_REFERENCES} registry, or add a "url" of the registry to the configuration of Tallyman (registries), so that Tallyman reads them`
/** How to make contents known for a pull-through cache, from which no manifest or blob is read, with or without a url. */
export const HOW_TO_KNOW_CONTENTS_OF_CACHE = `${INCLUDE_REFERENCES} pull-through cache; Tallyman does not read them from a cache`

type Remedies = Record<UnknownKind, string>

const REMEDIES: Remedies = {
  contents: HOW_TO_KNOW_CONTENTS,
  subjects:
    'notifications do not contain them; "tallyman inventory reconcile --reread --apply" reads them from a registry that has a url',
  sizes: '"tallyman inventory reconcile --apply" gets them from a registry that has a url',
  platforms:
    'notifications do not contain them; "tallyman inventory reconcile --reread --apply" reads them from a registry that has a url',
  manifests: '"tallyman inventory reconcile --reread --apply" gets the missing data from a registry that has a url',
  blobs: '"tallyman inventory reconcile --apply" gets them from a registry that has a url',
}
const REMEDIES_OF_CACHES: Remedies = {
  contents: HOW_TO_KNOW_CONTENTS_OF_CACHE,
  subjects: 'notifications do not contain them, and Tallyman does not read them from a pull-through cache',
  sizes: HOW_TO_KNOW_CONTENTS_OF_CACHE,
  platforms: 'notifications do not contain them, and Tallyman does not read them from a pull-through cache',
  manifests: HOW_TO_KNOW_CONTENTS_OF_CACHE,
  blobs: HOW_TO_KNOW_CONTENTS_OF_CACHE,
}

const SENTENCES: Record<UnknownKind, (count: string) => string> = {
  contents: (count) => `contents of ${count} manifests are unknown`,
  subjects: (count) =>
    `subjects of ${count} manifests are unknown, so that an empty subject or artifact_type of these does not mean that there is none`,
  sizes: (count) => `sizes of ${count} blobs are unknown, so that bytes are at least what is shown`,
  platforms: () => 'os and architecture of some images in this answer are unknown',
  manifests: (count) =>
    `${count} manifests that no known tag or index leads to are left out, because something unknown may: a tag from before the first event, a tag that was pushed or requested with another image within 60 seconds, an index of unknown contents, or an image that they sign or describe`,
  blobs: (count) =>
    `${count} blobs that no known manifest has are left out, because an unknown one may: manifests of unknown contents, or manifests without a tag from before the first event, which no registry lists`,
}

/** What a question lacks; a question that shows sizes needs the contents of manifests. */
const kindsOf = ({ unknown, columns }: Question): readonly SummaryKind[] =>
  unknown ?? ('size' in columns ? ['contents', 'sizes'] : [])

/** Counts greater than 0: of all registries, and of the pull-through caches among them. */
type Counted = { all: Partial<Unknown>; ofCaches: Partial<Unknown> }

/**
 * Counts what is unknown in the registries of the query, as of the summary; undefined if everything is known.
 * @param caches names of the registries that are pull-through caches
 */
export const unknownIn = async (
  db: Sql,
  question: Question,
  query: QueryParameters,
  caches: readonly string[],
): Promise<Counted | undefined> => {
  const kinds = kindsOf(question)
  if (kinds.length === 0) return undefined
  const sums = kinds.map((kind) => sql`coalesce(sum(${sql.raw(COLUMNS[kind])}), 0)::bigint as ${sql.raw(kind)}`)
  const { registry, prefix } = query
  const ids = repositoryIdsOf(query)
  const { rows } = await sql<Partial<Record<SummaryKind, string>> & { is_cache: boolean }>`
    select r.registry = any(${caches}::text[]) as is_cache, ${sql.join(sums)}
    from inventory.repository_totals u join inventory.repositories r on r.id = u.repository_id
    where (unknown_contents > 0 or unknown_sizes > 0 or unknown_subjects > 0 or undecided_blobs > 0 or undecided_manifests > 0)
      and ${ids ? sql`u.repository_id = any(${ids}::int[])` : sql`true`}
      and ${registry === undefined ? sql`true` : sql`r.registry = ${registry}`}
      and ${prefix === undefined ? sql`true` : sql`starts_with(r.name, ${prefix})`}
    group by 1
  `.execute(db)
  const counted = (some: typeof rows): Partial<Unknown> =>
    Object.fromEntries(
      kinds
        .map((kind) => [kind, some.reduce((sum, row) => sum + Number(row[kind] ?? 0), 0)] as const)
        .filter(([, count]) => count > 0),
    )
  const all = counted(rows)
  return Object.keys(all).length === 0 ? undefined : { all, ofCaches: counted(rows.filter((row) => row.is_cache)) }
}

/**
 * Counts the images of an answer whose platform is unknown: the configuration of an image has it, which events do not contain.
 * Images of unknown contents are not counted, because `contents` counts them.
 * @param rows with the columns `registry`, `digest`, `os` and `architecture`; other rows are not counted
 */
export const unknownPlatformsIn = async (
  db: Sql,
  rows: readonly Record<string, unknown>[],
  caches: readonly string[],
): Promise<Counted | undefined> => {
  const without = rows.filter(
    ({ digest, os, architecture }) => digest !== undefined && os === null && architecture === null,
  )
  if (without.length === 0) return undefined
  const { rows: unread } = await sql<{ digest: string }>`
    select m.digest from inventory.manifests m
    where m.digest = any(${[...new Set(without.map(({ digest }) => digest))]}::text[])
      and m.contents_known and not m.subject_known and ${hasImageConfig(sql`m.digest`)}
  `.execute(db)
  const digests = new Set<unknown>(unread.map(({ digest }) => digest))
  const images = without.filter(({ digest }) => digests.has(digest))
  if (images.length === 0) return undefined
  const ofCaches = images.filter(({ registry }) => caches.includes(String(registry))).length
  return { all: { platforms: images.length }, ofCaches: { platforms: ofCaches } }
}

/** Merges counts of different kinds. */
export const joinCounted = (counts: readonly (Counted | undefined)[]): Counted | undefined => {
  const some = counts.filter((one) => one !== undefined)
  if (some.length === 0) return undefined
  return {
    all: Object.assign({}, ...some.map(({ all }) => all)) as Partial<Unknown>,
    ofCaches: Object.assign({}, ...some.map(({ ofCaches }) => ofCaches)) as Partial<Unknown>,
  }
}

/** A sentence for each count: what is unknown, and how to make it known. */
export const notesOf = ({ all, ofCaches }: Counted): string[] =>
  Object.entries(all).flatMap(([kind, count]) => [
    ...noteOf(kind as UnknownKind, count - (ofCaches[kind as UnknownKind] ?? 0), REMEDIES),
    ...noteOf(kind as UnknownKind, ofCaches[kind as UnknownKind] ?? 0, REMEDIES_OF_CACHES),
  ])

const noteOf = (kind: UnknownKind, count: number, remedies: Remedies): string[] => {
  if (count === 0) return []
  const sentence = SENTENCES[kind](count.toLocaleString('en-US'))
  return [`${sentence}${sentence.includes(':') ? ';' : ':'} ${remedies[kind]}`]
}

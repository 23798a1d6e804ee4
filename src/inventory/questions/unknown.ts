import { sql } from 'kysely'
import type { Sql } from '../../storage/database.js'
import type { Asked, Question } from './question.js'

/**
 * What an answer leaves out or has empty because it is not known: `contents` of manifests, `sizes` of blobs; `manifests` and
 * `blobs` that nothing known uses, but something unknown may.
 */
export type UnknownKind = 'contents' | 'sizes' | 'manifests' | 'blobs'
export type Unknown = Record<UnknownKind, number>

const COLUMNS: Record<UnknownKind, string> = {
  contents: 'unknown_contents',
  sizes: 'unknown_sizes',
  manifests: 'undecided_manifests',
  blobs: 'undecided_blobs',
}

/** How to make contents known: what is to be added, for the people who look after the registry and after Tallyman. */
export const HOW_TO_KNOW_CONTENTS =
  'add "includereferences: true" below "notifications: events:" to the configuration of the registry, or a "url" of the registry to that of Tallyman (registries), which then reads them'

const SENTENCES: Record<UnknownKind, (count: string) => string> = {
  contents: (count) => `contents of ${count} manifests are unknown: ${HOW_TO_KNOW_CONTENTS}`,
  sizes: (count) =>
    `sizes of ${count} blobs are unknown, so that bytes are at least what is shown: "tallyman inventory reconcile --apply" asks a registry that has a url`,
  manifests: (count) =>
    `${count} manifests that no known tag or index leads to are left out, because something unknown may: a tag from before the first event, an index of unknown contents, or an image that they sign or describe; "tallyman inventory reconcile --reread --apply" asks a registry that has a url`,
  blobs: (count) =>
    `${count} blobs that no known manifest has are left out, because an unknown one may: manifests of unknown contents, which "tallyman inventory reconcile --apply" reads from a registry that has a url, or manifests without a tag from before the first event, which no registry lists`,
}

/** What a question does not know; those that show sizes need the contents of manifests. */
const kindsOf = ({ unknown, columns }: Question): readonly UnknownKind[] =>
  unknown ?? ('size' in columns ? ['contents', 'sizes'] : [])

/** Counts for the part of the registries that was asked for, as of the summary; undefined where all is known. */
export const unknownIn = async (
  db: Sql,
  question: Question,
  { registry, repository_ids, prefix }: Asked,
): Promise<Partial<Unknown> | undefined> => {
  const kinds = kindsOf(question)
  if (kinds.length === 0) return undefined
  const sums = kinds.map((kind) => sql`coalesce(sum(${sql.raw(COLUMNS[kind])}), 0)::bigint as ${sql.raw(kind)}`)
  const ids = repository_ids?.split(',').filter(Boolean).map(Number)
  const { rows } = await sql<Partial<Record<UnknownKind, string>>>`
    select ${sql.join(sums)} from inventory.repository_totals u
    where (unknown_contents > 0 or unknown_sizes > 0 or undecided_blobs > 0 or undecided_manifests > 0)
      and ${ids ? sql`u.repository_id = any(${ids}::int[])` : sql`true`}
      and ${
        registry === undefined && prefix === undefined
          ? sql`true`
          : sql`exists (
              select from inventory.repositories r where r.id = u.repository_id
                and ${registry === undefined ? sql`true` : sql`r.registry = ${registry}`}
                and ${prefix === undefined ? sql`true` : sql`starts_with(r.name, ${prefix})`}
            )`
      }
  `.execute(db)
  const counted = kinds.map((kind) => [kind, Number(rows[0]?.[kind] ?? 0)] as const).filter(([, count]) => count > 0)
  return counted.length === 0 ? undefined : Object.fromEntries(counted)
}

/** A sentence for each count: what is not known, and how to make it known. */
export const notesOf = (unknown: Partial<Unknown> | undefined): string[] =>
  Object.entries(unknown ?? {}).map(([kind, count]) => SENTENCES[kind as UnknownKind](count.toLocaleString('en-US')))

import { sql } from 'kysely'
import type { Database, HotStatement, Run, Sql } from '../../storage/sql/database.js'
import { jobStep } from '../../storage/sql/retried-transaction.js'
import { isImpliedEntry } from '../model/is-implied-entry.js'
import { isKnownIn } from '../model/known-in.js'
import { inStatements } from './manifest-entries.js'
import type { SeenManifest } from './observations.js'

type Rejected = {
  /** Manifests whose stored list is about to be removed. */
  contested: readonly string[]
  /** Manifests with a rejected list whose blobs the batch may have stored already. */
  rejected: readonly SeenManifest[]
}

/** Records the blobs of rejected lists for retractEntries. The transaction must have locked the manifests. */
export const noteRejected = async ({ run }: { run: Run }, { contested, rejected }: Rejected): Promise<void> => {
  if (contested.length > 0) await run(NOTE_STORED, [contested])
  const entries = rejected.flatMap(({ digest, contents = [] }) =>
    contents.map((entry, position) => ({ ...entry, manifest: digest, position })),
  )
  for (const some of inStatements(entries)) {
    await run(NOTE_STATED, [some.map(({ manifest }) => manifest), some.map(({ digest }) => digest)])
  }
}

/** Records the blobs of stored lists that a registry has just disproved. */
export const noteDisproved = async (
  db: Sql,
  manifests: readonly string[],
  proven: readonly { manifest: string; digest: string }[],
): Promise<void> => {
  await sql`
    insert into inventory.rejected_entries (manifest_digest, digest)
    select distinct b.manifest_digest, b.digest from inventory.manifest_blobs b
    where b.manifest_digest = any(${manifests}::text[]) and not exists (
      select from unnest(${proven.map(({ manifest }) => manifest)}::text[], ${proven.map(({ digest }) => digest)}::text[])
        as proven (manifest_digest, digest)
      where proven.manifest_digest = b.manifest_digest and proven.digest = b.digest
    )
    order by 1, 2
    on conflict (manifest_digest, digest) do update set after_id = 0
  `.execute(db)
}

const NOTE_STORED: HotStatement = {
  name: 'note_rejected_lists',
  text: `
    insert into inventory.rejected_entries (manifest_digest, digest)
    select distinct manifest_digest, digest from inventory.manifest_blobs where manifest_digest = any($1::text[])
    order by 1, 2
    on conflict (manifest_digest, digest) do update set after_id = 0`,
}

const NOTE_STATED: HotStatement = {
  name: 'note_rejected_entries',
  text: `
    insert into inventory.rejected_entries (manifest_digest, digest)
    select distinct * from unnest($1::text[], $2::text[]) as stated order by 1, 2
    on conflict (manifest_digest, digest) do update set after_id = 0`,
}

/** Entries and repositories of one step. Each pair is a look-up of the manifests of a repository that list a blob. */
const ENTRIES_AT_ONCE = 100
const REPOSITORIES_AT_ONCE = 10
/** Steps of one run; the next run continues. */
const STEPS = 100

/**
 * Deletes blobs that only a rejected list implied from the repositories that have its manifest. Blobs that an event showed, or
 * that another manifest of the repository lists, stay.
 */
export const retractEntries = async (database: Database): Promise<void> => {
  for (let step = 0; step < STEPS && (await jobStep(database, retractStep)); step++);
}

/** @returns whether there were entries to retract. */
const retractStep = async (tx: Sql): Promise<boolean> => {
  const { rows: entries } = await sql<{ manifest: string; digest: string; after: number }>`
    select manifest_digest as manifest, digest, after_id as after from inventory.rejected_entries
    where (manifest_digest, after_id) = (
      select manifest_digest, after_id from inventory.rejected_entries order by manifest_digest, digest limit 1
    )
    order by manifest_digest, digest limit ${ENTRIES_AT_ONCE} for update
  `.execute(tx)
  const [first] = entries
  if (!first) return false
  const digests = entries.map(({ digest }) => digest)
  const { rows: found } = await sql<{ id: number }>`
    select repository_id as id from inventory.repository_manifests
    where digest = ${first.manifest} and repository_id > ${first.after}
    order by repository_id limit ${REPOSITORIES_AT_ONCE}
  `.execute(tx)
  const ids = found.map(({ id }) => id)
  // Batches lock the row of a repository before anything in it, so the next statement sees their rows.
  await sql`
    select from inventory.repositories where id = any(${ids}::int[]) order by registry, name for update
  `.execute(tx)
  await retract(tx, ids, digests)
  const last = ids.length < REPOSITORIES_AT_ONCE ? undefined : ids.at(-1)
  const those = sql`manifest_digest = ${first.manifest} and digest = any(${digests}::text[])`
  await (
    last === undefined
      ? sql`delete from inventory.rejected_entries where ${those}`
      : sql`update inventory.rejected_entries set after_id = ${last} where ${those}`
  ).execute(tx)
  return true
}

const retract = async (tx: Sql, repositories: readonly number[], blobs: readonly string[]): Promise<void> => {
  await sql`
    with remaining as materialized (
      select b.repository_id, b.digest, l.size, l.manifest_at, l.lists > 0 as implied, r.deleted_at as ended_at,
        greatest(b.pushed_at, b.pulled_at, b.checked_at, b.mounted_at, b.confirmed_at) is not null as is_seen
      from inventory.repository_blobs b
        join inventory.repositories r on r.id = b.repository_id
        cross join lateral (
          select count(*) as lists, max(e.size) as size, max(o.pushed_at) as manifest_at
          from inventory.manifest_blobs e
            join inventory.repository_manifests o
              on o.repository_id = b.repository_id and o.digest = e.manifest_digest and o.seen_at is not null
            join inventory.manifests m on m.digest = e.manifest_digest
          where e.digest = b.digest and ${sql.raw(isImpliedEntry('e.media_type'))}
            and ${isKnownIn(sql`m`, sql`r.registry`)}
        ) l
      where b.repository_id = any(${repositories}::int[]) and b.digest = any(${blobs}::text[]) and b.implied
    ), removed as (
      delete from inventory.repository_blobs b using remaining l
      where b.repository_id = l.repository_id and b.digest = l.digest and not l.implied and not l.is_seen
        and coalesce(b.deleted_at = l.ended_at, b.deleted_at is null)
      returning b.repository_id, b.digest
    )
    update inventory.repository_blobs b
    set implied = l.implied, manifest_at = l.manifest_at, size = case when l.is_seen then b.size else l.size end
    from remaining l
    where b.repository_id = l.repository_id and b.digest = l.digest
      and not exists (select from removed x where x.repository_id = b.repository_id and x.digest = b.digest)
  `.execute(tx)
}

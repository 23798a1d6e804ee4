import { sql } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { Database, Sql } from '../../storage/sql/database.js'
import type { NotChecked } from './cache.js'
import type { Difference, DriftKind } from './drift.js'
import type { Filled } from './filled.js'

/** A run in progress: a new one, or an interrupted one that is continued. */
export type ReconcileRun = {
  id: number
  startedAt: Date
  resumed: boolean
  done: ReadonlySet<string>
  /** Repositories that could not be read, or not be repaired. */
  failed: ReadonlySet<string>
}

/** The result of one repository. */
export type RepositoryResult = Record<DriftKind, number> & {
  repository: string
  /** The first differences. */
  differences: readonly Difference[]
  /** Why the repository could not be read. */
  error?: string
}

/** The sums of the findings in all repositories of a run so far. */
export type RunCounts = {
  tags: number
  manifests: number
  blobs: number
  requests: number
  unchecked: number
  filled: Filled
}

/** Differences that are stored for each repository; all are counted. */
const KEPT_DIFFERENCES = 50
/** After a longer interruption, the findings of a run are out of date. */
const RESUMED_WITHIN_MS = 24 * 60 * 60_000
/** Runs that are stored for each registry. */
const KEPT_RUNS = 20

/**
 * Continues the interrupted run, or starts a new one: if the interrupted run had another purpose, stopped more than a day ago,
 * or `restart` is set. The caller has the lease of the registry.
 */
export const beginRun = async (
  { sql: db }: Database,
  { registry, apply, restart, now }: { registry: string; apply: boolean; restart: boolean; now: Date },
): Promise<ReconcileRun> => {
  const { rows } = await sql<{ id: number; started_at: Date; updated_at: Date; applied: boolean }>`
    select id, started_at, updated_at, applied from inventory.reconciliations where registry = ${registry} and finished_at is null
  `.execute(db)
  const [open] = rows
  const isFresh = open && now.getTime() - open.updated_at.getTime() <= RESUMED_WITHIN_MS
  if (isFresh && open.applied === apply && !restart) {
    await sql`update inventory.reconciliations set stopped_because = null where id = ${open.id}`.execute(db)
    return { id: open.id, startedAt: open.started_at, resumed: true, ...(await walkedIn(db, open.id)) }
  }
  if (open) await deleteRuns(db, [open.id])
  await deleteOldRuns(db, registry)
  const begun = await sql<{ id: number }>`
    insert into inventory.reconciliations (registry, applied, started_at, updated_at)
    values (${registry}, ${apply}, ${now}, ${now}) returning id
  `.execute(db)
  return { id: begun.rows[0]?.id ?? 0, startedAt: now, resumed: false, done: new Set(), failed: new Set() }
}

const walkedIn = async (db: Sql, id: number): Promise<Pick<ReconcileRun, 'done' | 'failed'>> => {
  const { rows } = await sql<{ repository: string; failed: boolean }>`
    select repository, error is not null as failed from inventory.reconciled_repositories where reconciliation_id = ${id}
  `.execute(db)
  const names = (wanted: boolean): Set<string> =>
    new Set(rows.filter(({ failed }) => failed === wanted).map(({ repository }) => repository))
  return { done: names(false), failed: names(true) }
}

const deleteOldRuns = async (db: Sql, registry: string): Promise<void> => {
  const { rows } = await sql<{ id: number }>`
    select id from inventory.reconciliations where registry = ${registry} order by id desc offset ${KEPT_RUNS}
  `.execute(db)
  await deleteRuns(
    db,
    rows.map(({ id }) => id),
  )
}

const deleteRuns = async (db: Sql, ids: readonly number[]): Promise<void> => {
  if (ids.length === 0) return
  await sql`delete from inventory.reconciled_repositories where reconciliation_id = any(${ids}::int[])`.execute(db)
  await sql`delete from inventory.reconciliations where id = any(${ids}::int[])`.execute(db)
}

/** Stores the result of a repository, so that an interrupted run can continue after it. */
export const storeRepositoryResult = async (
  database: Database,
  { id }: ReconcileRun,
  result: RepositoryResult,
  seen: RunCounts,
  at: Micros,
): Promise<void> => {
  const { repository, missing, stale, different, differences, error } = result
  const kept = JSON.stringify(differences.slice(0, KEPT_DIFFERENCES))
  await database.transaction(async (tx) => {
    await sql`
      insert into inventory.reconciled_repositories
        (reconciliation_id, repository, missing, stale, different, differences, error)
      values (${id}, ${repository}, ${missing}, ${stale}, ${different}, ${kept}::text::jsonb, ${error ?? null})
      on conflict (reconciliation_id, repository) do update
        set missing = excluded.missing, stale = excluded.stale, different = excluded.different,
            differences = excluded.differences, error = excluded.error
    `.execute(tx)
    await sql`
      update inventory.reconciliations
      set last_repository = ${repository}, updated_at = ${isoTime(at)},
        repositories = repositories + ${error === undefined ? 1 : 0}, tags = tags + ${seen.tags},
        manifests = manifests + ${seen.manifests}, blobs = blobs + ${seen.blobs},
        requests = requests + ${seen.requests}, unchecked = unchecked + ${seen.unchecked},
        filled_contents = filled_contents + ${seen.filled.contents},
        filled_platforms = filled_platforms + ${seen.filled.platforms},
        filled_subjects = filled_subjects + ${seen.filled.subjects}, filled_sizes = filled_sizes + ${seen.filled.sizes}
      where id = ${id}
    `.execute(tx)
  })
}

/**
 * Stores why and when a run stops. A run that is continued within a day is measured from this time: it may have worked on one
 * repository for hours.
 * @param because a sentence for the status
 */
export const noteStop = async (
  { sql: db }: Database,
  { id }: Pick<ReconcileRun, 'id'>,
  { because, now }: { because: string; now: Date },
): Promise<void> => {
  await sql`
    update inventory.reconciliations set stopped_because = ${because}, updated_at = ${now}
    where id = ${id} and finished_at is null
  `.execute(db)
}

type Ending = {
  /** For a pull-through cache: what was not requested. */
  notChecked?: NotChecked | undefined
  /** Why the catalog was not read to its end. */
  catalogError?: string | undefined
}

/** Finishes a run. Only repositories with drift or an error stay stored. */
export const finishRun = async (
  database: Database,
  { id }: ReconcileRun,
  now: Date,
  { notChecked, catalogError }: Ending = {},
): Promise<void> => {
  await database.transaction(async (tx) => {
    await sql`
      delete from inventory.reconciled_repositories
      where reconciliation_id = ${id} and missing + stale + different = 0 and error is null
    `.execute(tx)
    await sql`
      update inventory.reconciliations
      set finished_at = ${now}, updated_at = ${now}, catalog_error = ${catalogError ?? null},
        not_checked = ${notChecked === undefined ? null : JSON.stringify(notChecked)}::text::jsonb
      where id = ${id}
    `.execute(tx)
  })
}

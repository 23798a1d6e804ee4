import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import type { NotChecked } from './cache.js'
import type { Difference, DriftKind } from './drift.js'
import type { Filled } from './filled.js'

/** The results of a run; of a run in progress, the results so far. The numbers include the parts before an interruption. */
export type Reconciliation = {
  id: number
  registry: string
  /** Whether the inventory was repaired, or the drift only reported. */
  applied: boolean
  startedAt: Date
  finishedAt: Date | null
  /** How many of each were found in the registry, and how many requests were sent. */
  repositories: number
  tags: number
  manifests: number
  blobs: number
  requests: number
  /** Blobs that were too many to request. */
  unchecked: number
  drift: Record<DriftKind, number>
  /**
   * What the registry showed and the inventory lacked, which is no drift; stored if `applied`. Zeros for runs of versions that
   * did not count it.
   */
  filled: Filled
  /** Repositories that could not be read. */
  failed: number
  /** For a pull-through cache: what the inventory contains that cannot be requested without fetching it. */
  notChecked?: NotChecked
  /**
   * Why the catalog was not read to its end: the run then compared only the repositories of the inventory, and did not count a
   * repository as absent because the catalog lacked it.
   */
  catalogError?: string
  /** Why an unfinished run stopped, or why it waits for its turn. */
  stoppedBecause?: string
}

/** A finished run with its details, each list cut to its first entries. */
export type ReconciliationReport = Reconciliation & {
  drifted: (Record<DriftKind, number> & { repository: string })[]
  differences: (Difference & { repository: string })[]
  failures: { repository: string; error: string }[]
}

const MOST_DRIFTED = 1_000
const MOST_DIFFERENCES = 50

type Row = {
  id: number
  registry: string
  applied: boolean
  started_at: Date
  finished_at: Date | null
  repositories: number
  tags: number
  manifests: number
  blobs: number
  requests: number
  unchecked: number
  not_checked: NotChecked | null
  catalog_error: string | null
  stopped_because: string | null
  missing: number
  stale: number
  different: number
  failed: number
  filled_contents: number
  filled_platforms: number
  filled_subjects: number
  filled_sizes: number
}

const toReconciliation = (all: Row): Reconciliation => {
  const { started_at, finished_at, missing, stale, different, not_checked, catalog_error, stopped_because, ...others } =
    all
  const { filled_contents, filled_platforms, filled_subjects, filled_sizes, ...row } = others
  return {
    ...row,
    startedAt: started_at,
    finishedAt: finished_at,
    drift: { missing, stale, different },
    filled: {
      contents: filled_contents,
      platforms: filled_platforms,
      subjects: filled_subjects,
      sizes: filled_sizes,
    },
    ...(not_checked && { notChecked: not_checked }),
    ...(catalog_error !== null && { catalogError: catalog_error }),
    ...(stopped_because !== null && { stoppedBecause: stopped_because }),
  }
}

/**
 * The registries that have a finished run which began at a moment or later; with `apply`, a run that repaired the inventory.
 */
export const reconciledSince = async (
  db: Sql,
  { apply, since }: { apply: boolean; since: Date },
): Promise<ReadonlySet<string>> => {
  const { rows } = await sql<{ registry: string }>`
    select distinct registry from inventory.reconciliations
    where finished_at is not null and started_at >= ${since.toISOString()}::timestamptz and applied >= ${apply}
  `.execute(db)
  return new Set(rows.map(({ registry }) => registry))
}

const RUNS = sql`
  select r.id, r.registry, r.applied, r.started_at, r.finished_at, r.repositories, r.tags, r.manifests, r.blobs, r.requests,
    r.unchecked, r.filled_contents, r.filled_platforms, r.filled_subjects, r.filled_sizes, r.not_checked, r.catalog_error,
    r.stopped_because, d.missing, d.stale, d.different, d.failed
  from inventory.reconciliations r,
    lateral (
      select coalesce(sum(missing), 0)::int as missing, coalesce(sum(stale), 0)::int as stale,
        coalesce(sum(different), 0)::int as different, count(error)::int as failed
      from inventory.reconciled_repositories where reconciliation_id = r.id
    ) d`

/** The newest run of each registry that was ever reconciled, finished or not. */
export const lastReconciliations = async (db: Sql): Promise<Reconciliation[]> => {
  const { rows } = await sql<Row>`
    ${RUNS}
    where r.id in (select max(id) from inventory.reconciliations group by registry)
    order by r.registry
  `.execute(db)
  return rows.map(toReconciliation)
}

/** The report of a run, the repositories with the most drift first. */
export const reportOf = async (db: Sql, id: number): Promise<ReconciliationReport> => {
  const { rows } = await sql<Row>`${RUNS} where r.id = ${id}`.execute(db)
  const [row] = rows
  if (!row) throw new Error(`there is no reconciliation ${id}`)
  const drifted = await sql<Record<DriftKind, number> & { repository: string }>`
    select repository, missing, stale, different from inventory.reconciled_repositories
    where reconciliation_id = ${id} and missing + stale + different > 0
    order by missing + stale + different desc, repository limit ${MOST_DRIFTED}
  `.execute(db)
  const differences = await sql<{ repository: string; difference: Difference }>`
    select repository, difference
    from inventory.reconciled_repositories,
      jsonb_array_elements(differences) with ordinality as listed (difference, position)
    where reconciliation_id = ${id}
    order by repository, position limit ${MOST_DIFFERENCES}
  `.execute(db)
  const failures = await sql<{ repository: string; error: string }>`
    select repository, error from inventory.reconciled_repositories
    where reconciliation_id = ${id} and error is not null order by repository limit ${MOST_DIFFERENCES}
  `.execute(db)
  return {
    ...toReconciliation(row),
    drifted: drifted.rows,
    differences: differences.rows.map(({ repository, difference }) => ({ repository, ...difference })),
    failures: failures.rows,
  }
}

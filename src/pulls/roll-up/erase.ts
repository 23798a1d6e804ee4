import { sql, type RawBuilder } from 'kysely'
import type { Database, Sql } from '../../storage/sql/database.js'
import { inBlocks } from '../../storage/sql/in-blocks.js'
import { ROWS_AT_ONCE, repeatUntilEmpty } from '../../storage/sql/batched.js'
import { jobStep } from '../../storage/sql/retried-transaction.js'
import { eraseFileNames } from './erase-file-names.js'
import { eraseLastUses } from './erase-last-uses.js'
import { erasePending, erasePrevious } from './erase-pending.js'
import { eraseSegments } from './erase-segments.js'
import { portionsSoFar } from './moved-portions.js'
import {
  ERASURES,
  noteErasure,
  removeNote,
  unfinishedErasures,
  type Erasure,
  type NotedErasure,
} from '../erasures/noted-erasures.js'
import { restartProvisional } from '../provisional/provisional-run.js'
import { unmarkSummaries, eraseSummaries, runSummaryStep } from './erase-summaries.js'
import { restartRollingDays } from './rolling-days.js'

export type Erased = {
  invocations: number
  /** Pending requests: they were not folded into invocations yet. */
  requests: number
  /** Requests that were imported from files. */
  imported_requests: number
  /** Rows of pulls.days. */
  days: number
  /**
   * Tables whose files still contain the erased rows, because they are large: the embedded database rewrites them at its next start,
   * PostgreSQL reuses their space in time.
   */
  not_rewritten: string[]
}

/** All tables that contain origins, or repositories of pulls; names of files may contain repositories, too. */
const TABLES = [
  ...[
    'pending',
    'chains',
    'requests',
    'outcomes',
    'behaviours',
    'last_uses',
    'totals',
    'days',
    'summaries',
    'rolling_days',
    'segments',
    'segment_days',
  ].map((table) => `pulls.${table}`),
  'provisional.outcomes',
  'logs.files',
]

/**
 * Erases the data of an origin or a repository on request. For an origin, rolled-up days keep their numbers, because a sketch does not
 * contain its members; last uses keep their times and kinds of clients. For a repository, its days are erased, their summaries are
 * rebuilt, and the last uses of objects that the registry no longer has are erased. Each statement reads a bounded part of a table.
 * If an erasure is interrupted, `finishErasures` finishes it.
 * @param blocksAtOnce blocks of a table that a statement reads at most
 */
export const erase = async (database: ErasingDatabase, erasure: Erasure, blocksAtOnce?: number): Promise<Erased> => {
  if (erasure.origin === undefined && erasure.repository === undefined)
    throw new Error('an erasure needs an origin or a repository')
  return eraseNoted(database, await noteErasure(database.jobs, erasure), blocksAtOnce)
}

type ErasingDatabase = Pick<Database, 'jobs' | 'eraseTraces'>

/**
 * Finishes erasures that were interrupted. An erasure that is still running is repeated, which does no harm.
 * @param minutes only erasures that began at least so many minutes ago
 * @returns the number of erasures
 */
export const finishErasures = async (database: ErasingDatabase, minutes: number): Promise<number> => {
  const erasures = await unfinishedErasures(database.jobs, minutes)
  for (const erasure of erasures) await eraseNoted(database, erasure)
  return erasures.length
}

const eraseNoted = async (
  { jobs, eraseTraces }: ErasingDatabase,
  erasure: NotedErasure,
  blocksAtOnce?: number,
): Promise<Erased> => {
  const deleted = { invocations: 0, requests: 0, imported_requests: 0, days: 0 }
  const readPortions = async (): Promise<string> => jobs.transaction().execute(portionsSoFar)
  let portions = await readPortions()
  let before: string
  // If an alias was moved meanwhile, some of its rows may now be in a part of a table that was read before.
  do {
    const { invocations, requests, imported_requests, days } = await deleteRows(jobs, erasure, blocksAtOnce)
    deleted.invocations += invocations
    deleted.requests += requests
    deleted.imported_requests += imported_requests
    deleted.days += days
    before = portions
    portions = await readPortions()
  } while (portions !== before)
  const not_rewritten = await runSummaryStep(async () => eraseTraces(TABLES))
  await removeNote(jobs, erasure)
  await eraseTraces([ERASURES])
  return { ...deleted, not_rewritten }
}

const deleteRows = async (
  jobs: Database['jobs'],
  erasure: Erasure,
  blocksAtOnce?: number,
): Promise<Omit<Erased, 'not_rewritten'>> => {
  const { origin, repository, registries } = erasure
  const isInScope = sql.join(
    [
      ...(repository === undefined ? [] : [sql`repository = ${repository}`]),
      ...(registries === undefined ? [] : [sql`registry = any(${registries}::text[])`]),
      sql`true`,
    ],
    sql` and `,
  )
  const where = origin === undefined ? isInScope : sql`origin = ${origin} and ${isInScope}`
  const inParts = async (table: string, step: (where: RawBuilder<unknown>) => Promise<number>): Promise<number> =>
    inBlocks(jobs, table, async (isInPart) => step(sql`${isInPart} and ${where}`), blocksAtOnce)
  const eraseFrom = async (table: string): Promise<number> =>
    inParts(table, async (isErased) => deletedBy(jobs, sql`delete from ${sql.table(table)} where ${isErased}`))

  // Pending requests first, so that they do not become outcomes after the outcomes were erased.
  const requests = await inParts('pulls.pending', async (isErased) => erasePending(jobs, isErased))
  if (origin !== undefined)
    await inBlocks(
      jobs,
      'pulls.pending',
      async (isInPart) => erasePrevious(jobs, origin, sql`${isInPart} and ${isInScope}`),
      blocksAtOnce,
    )
  const imported = await eraseSegments(jobs, erasure)
  await eraseChains(jobs, where, { registries, blocksAtOnce })
  await jobs.transaction().execute(restartProvisional)
  await eraseFrom('pulls.requests')
  const invocations = imported.invocations + (await eraseFrom('pulls.outcomes'))
  // A running roll-up may have read the outcomes. The lock waits until the rows of that roll-up are written, so that they are
  // erased, and the roll-up drops the readings in its memory. Later roll-ups find no outcomes.
  await jobs.transaction().execute(async (tx) => restartRollingDays(tx, registries))
  await eraseFrom('pulls.behaviours')
  if (origin !== undefined) await eraseUnfinishedDays(jobs, registries)
  const erased = { invocations, requests, imported_requests: imported.requests }
  if (origin !== undefined || repository === undefined) return { ...erased, days: 0 }
  await eraseFileNames(jobs, { repository, registries })
  await eraseFrom('pulls.totals')
  await inParts('pulls.last_uses', async (isErased) => eraseLastUses(jobs, isErased, registries))
  await unmarkSummaries(jobs, { repository, registries })
  const days = await eraseFrom('pulls.days')
  await eraseSummaries(jobs, { repository, registries })
  return { ...erased, days }
}

/**
 * Erases chains while no registry is folded. A running fold may have read a chain and stores it again: this waits until the chain is
 * stored, and erases it. Later folds find no chain, so they do not change outcomes that are erased afterwards. Registries are locked
 * in the order of their names, as a move locks them.
 */
const eraseChains = async (
  jobs: Database['jobs'],
  where: RawBuilder<unknown>,
  { registries, blocksAtOnce }: { registries: readonly string[] | undefined; blocksAtOnce: number | undefined },
): Promise<void> => {
  await jobStep({ sql: jobs }, async (tx) => {
    await sql`
      select from pulls.registries ${registries ? sql`where registry = any(${registries}::text[])` : sql``}
      order by registry for update
    `.execute(tx)
    const step = async (isInPart: RawBuilder<unknown>): Promise<number> =>
      deletedBy(tx, sql`delete from pulls.chains where ${isInPart} and ${where}`)
    await inBlocks(tx, 'pulls.chains', step, blocksAtOnce)
  })
}

/**
 * Deletes the rows of days that are not completely rolled up: they may include erased outcomes. No answer reads these rows, and the
 * next roll-up restarts the days.
 */
const eraseUnfinishedDays = async (jobs: Database['jobs'], registries?: readonly string[]): Promise<number> =>
  repeatUntilEmpty(async () =>
    jobs.transaction().execute(async (tx) => {
      await restartRollingDays(tx, registries)
      const isOf = registries ? sql`r.registry = any(${registries}::text[])` : sql`true`
      return deletedBy(
        tx,
        sql`delete from pulls.days where ctid = any(array(
          select d.ctid from pulls.registries r join pulls.days d on d.registry = r.registry and d.day >= r.rolled_to
          where ${isOf} limit ${ROWS_AT_ONCE}
        ))`,
      )
    }),
  )

const deletedBy = async (db: Sql, statement: RawBuilder<unknown>): Promise<number> =>
  Number((await statement.execute(db)).numAffectedRows ?? 0)

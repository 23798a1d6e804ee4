import { sql, type RawBuilder } from 'kysely'
import type { Database, Sql } from '../../storage/sql/database.js'
import { inBlocks } from '../../storage/sql/in-blocks.js'
import { ROWS_AT_ONCE, untilNoneIsLeft } from '../../storage/sql/batched.js'
import { jobStep } from '../../storage/sql/retried-transaction.js'
import { headsAmong, lookUpHeads } from '../fold-job/look-up-heads.js'
import { keepNewest } from '../fold-job/last-uses.js'
import { portionsSoFar } from './moved-portions.js'
import {
  ERASURES,
  noteErasure,
  removeNote,
  unfinishedErasures,
  type Erasure,
  type NotedErasure,
} from './noted-erasures.js'
import { restartProvisional } from '../provisional/provisional-run.js'
import { unmarkSummaries, eraseSummaries, runSummaryStep } from './erase-summaries.js'
import { restartRollingDays } from './rolling-days.js'

export type Erased = {
  invocations: number
  /** Requests that were not folded into invocations yet. */
  requests: number
  /** Rows of pulls.days. */
  days: number
  /**
   * Tables whose files still contain the erased rows, because they are large: the embedded database rewrites them at its next start,
   * PostgreSQL reuses their space in time.
   */
  not_rewritten: string[]
}

/** All that contains an origin, or a repository that was pulled from. */
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
  ].map((table) => `pulls.${table}`),
  'provisional.outcomes',
]

/**
 * Erases what is kept of an origin or a repository, as people may ask for. Last uses keep their times and kinds of clients. Days that were rolled up keep their numbers when an
 * origin is erased: a sketch does not contain who is in it. With a repository, its days go as well, and what was summarized from them is
 * summarized again; and the last uses of what the registry no longer has. Each statement reads a bounded part of a table. If it ends early,
 * `finishErasures` finishes it.
 * @param blocksAtOnce blocks of a table that a statement reads at most
 */
export const erase = async (database: ErasingDatabase, erasure: Erasure, blocksAtOnce?: number): Promise<Erased> => {
  if (erasure.origin === undefined && erasure.repository === undefined)
    throw new Error('an erasure needs an origin or a repository')
  return eraseNoted(database, await noteErasure(database.jobs, erasure), blocksAtOnce)
}

type ErasingDatabase = Pick<Database, 'jobs' | 'eraseTraces'>

/**
 * Finishes erasures that ended early. One that is under way is done twice, which changes nothing.
 * @param minutes those that began at least so many minutes ago
 * @returns how many
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
  const deleted = { invocations: 0, requests: 0, days: 0 }
  const readPortions = async (): Promise<string> => jobs.transaction().execute(portionsSoFar)
  let portions = await readPortions()
  let before: string
  // If a registry was moved meanwhile, some of its rows may be in a part of a table that was read before.
  do {
    const { invocations, requests, days } = await deleteRows(jobs, erasure, blocksAtOnce)
    deleted.invocations += invocations
    deleted.requests += requests
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
  { origin, repository, registries }: Erasure,
  blocksAtOnce?: number,
): Promise<Omit<Erased, 'not_rewritten'>> => {
  const where = sql.join(
    [
      ...(origin === undefined ? [] : [sql`origin = ${origin}`]),
      ...(repository === undefined ? [] : [sql`repository = ${repository}`]),
      ...(registries === undefined ? [] : [sql`registry = any(${registries}::text[])`]),
    ],
    sql` and `,
  )
  const inParts = async (table: string, step: (where: RawBuilder<unknown>) => Promise<number>): Promise<number> =>
    inBlocks(jobs, table, async (isInPart) => step(sql`${isInPart} and ${where}`), blocksAtOnce)
  const eraseFrom = async (table: string): Promise<number> =>
    inParts(table, async (isErased) => deletedBy(jobs, sql`delete from ${sql.table(table)} where ${isErased}`))

  // Those that wait first, so that they do not become outcomes of what is erased after it.
  const requests = await inParts('pulls.pending', async (isErased) => erasePending(jobs, isErased))
  await eraseChains(jobs, where, { registries, blocksAtOnce })
  await jobs.transaction().execute(restartProvisional)
  await eraseFrom('pulls.requests')
  const invocations = await eraseFrom('pulls.outcomes')
  // A roll-up may have read the outcomes before: this waits until its rows are there to be erased, and it drops what it remembers. Later
  // roll-ups find no outcomes.
  await jobs.transaction().execute(async (tx) => restartRollingDays(tx, registries))
  await eraseFrom('pulls.behaviours')
  if (origin !== undefined) await eraseUnfinishedDays(jobs, registries)
  if (origin !== undefined || repository === undefined) return { invocations, requests, days: 0 }
  await eraseFrom('pulls.totals')
  await inParts('pulls.last_uses', async (isErased) => eraseLastUses(jobs, isErased, registries))
  await unmarkSummaries(jobs, { repository, registries })
  const days = await eraseFrom('pulls.days')
  await eraseSummaries(jobs, { repository, registries })
  return { invocations, requests, days }
}

/**
 * Erases chains while no registry is folded. A fold under way may have read a chain, and stores it again with what it goes on with: this
 * waits until the chain is there to be erased. Later folds find no chain, and so change no outcome that is erased after it. Registries are locked
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
 * Deletes the rows of days that are not rolled up completely: they may include outcomes that were erased. No answer reads these rows, and
 * the next run restarts the days.
 */
const eraseUnfinishedDays = async (jobs: Database['jobs'], registries?: readonly string[]): Promise<number> =>
  untilNoneIsLeft(async () =>
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

/** Requests that are erased at once: each HEAD among them is looked up. */
const PENDING_AT_ONCE = 100

/** @returns how many requests were erased */
const erasePending = async (jobs: Database['jobs'], where: RawBuilder<unknown>): Promise<number> =>
  untilNoneIsLeft(async () => jobs.transaction().execute(async (tx) => eraseSomePending(tx, where)))

/**
 * Uses keep their times and kinds, as the uses of requests that were folded before do: the inventory has the time of the use, and
 * a query without some kinds would otherwise count a use whose kind is lost.
 */
const eraseSomePending = async (tx: Sql, where: RawBuilder<unknown>): Promise<number> => {
  const { rows } = await sql<{ place: string; id: string; request: string }>`
    select ctid as place, id, request from pulls.pending where ${where}
    order by registry, at limit ${PENDING_AT_ONCE} for update
  `.execute(tx)
  const beforePush = [...(await lookUpHeads(tx, headsAmong(rows)))].filter(([, isPart]) => isPart).map(([id]) => id)
  await sql`
    with erased as (
      delete from pulls.pending where ctid = any(${rows.map(({ place }) => place)}::tid[])
      returning id, registry, repository, at, request, who
    ), uses as (
      select registry, repository, reference, who::jsonb->>'kind' as kind, max(at) as used_at,
        max(at) filter (where request::jsonb->>'method' = 'GET') as pulled_at
      from erased cross join lateral (values (request::jsonb->>'tag'), (request::jsonb->>'digest')) named (reference)
      where reference is not null and request::jsonb->>'object' = 'manifest' and not id = any(${beforePush}::uuid[])
      group by registry, repository, reference, kind
    )
    insert into pulls.last_uses as u (registry, repository, reference, kind, used_at, pulled_at)
    select registry, repository, reference, kind, used_at, pulled_at from uses
    order by registry, repository, reference, kind
    ${keepNewest}
  `.execute(tx)
  return rows.length
}

/** Those of what a registry has stay, without any trace of who it was: else a clean-up would take for unused what is in use. */
const eraseLastUses = async (
  jobs: Database['jobs'],
  where: RawBuilder<unknown>,
  registries: readonly string[] = [],
): Promise<number> =>
  deletedBy(
    jobs,
    sql`delete from pulls.last_uses u where ${where} and not exists (
      select from inventory.repositories r
      where (r.registry = u.registry or r.registry = any(${registries}::text[])) and r.name = u.repository and (
        -- Each is looked up by its index: without "offset", PostgreSQL may read all tags instead.
        exists (select from inventory.live_tags t where t.repository_id = r.id and t.name = u.reference offset 0)
        or exists (
          select from inventory.repository_manifests m
          where m.repository_id = r.id and m.digest = u.reference and m.live offset 0
        )
      )
    )`,
  )

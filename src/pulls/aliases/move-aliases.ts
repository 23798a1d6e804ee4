import { sql } from 'kysely'
import { eachAlone } from '../../storage/each-alone.js'
import type { Database } from '../../storage/sql/database.js'
import { jobStep, type Step } from '../../storage/sql/retried-transaction.js'
import { createStepSizes, doStep, partOf } from '../../storage/sql/step-sizes.js'
import type { JoinWindows } from '../model/join-windows.js'
import type { AliasMove } from './alias-move.js'
import { runSummaryStep } from '../roll-up/erase-summaries.js'
import { moveDay, nextDayToMove } from './move-days.js'
import { moveLive } from './move-live.js'
import { moveFiles, moveImportedDay } from './move-segments.js'
import { copyNewestReadings, type CopiedTo } from './move-readings.js'
import { dropRegistry, deleteSummariesOf, moveRequests } from './move-rest.js'
import { rollUp } from '../roll-up/roll-up.js'

type MoveAliasesDeps = {
  database: Database
  windows: JoinWindows
  /** Approximate number of rows that a transaction moves. */
  most?: number
}

/** The embedded database moves so many rows in half a second. */
const DEFAULT_MOST = 10_000
/** Before any day that has pulls. */
const NO_DAY = '-infinity'

/**
 * Moves pulls that were recorded under an alias to the name of its registry. Such pulls were recorded before the alias was configured,
 * or by a process that did not know the alias yet. Each portion is a transaction of its own, after which every pull counts once. A
 * repetition finishes an interrupted move.
 * @param aliases each alias with the name of its registry
 * @throws AggregateError if registries failed; the others were moved
 */
export const moveAliases = async (deps: MoveAliasesDeps, aliases: ReadonlyMap<string, string>): Promise<void> => {
  const { rows } = await sql<AliasMove>`
    select alias as from, name as to
    from unnest(${[...aliases.keys()]}::text[], ${[...aliases.values()]}::text[]) as aliases (alias, name)
    where exists (select from pulls.registries where registry = alias)
      or exists (select from pulls.pending where registry = alias)
      or exists (select from logs.files where registry = alias)
    order by alias
  `.execute(deps.database.sql)
  await eachAlone(rows, async (move) => moveRegistry(deps, move))
}

const moveRegistry = async (
  { database, windows, most = DEFAULT_MOST }: MoveAliasesDeps,
  move: AliasMove,
): Promise<void> => {
  const { jobs } = database
  const stepSizes = createStepSizes()
  /** Runs one transaction, and repeats it with fewer rows if it took too long. */
  const portion = async <T>(kind: string, work: (tx: Step, rows: number) => Promise<T>): Promise<T> =>
    doStep(stepSizes, { kind, size: most }, async (divisor) =>
      jobStep({ sql: jobs }, async (tx) => work(tx, partOf(most, divisor))),
    )
  const copyReadings = async (after: Exclude<CopiedTo, 'end'>): Promise<CopiedTo | 'blocked'> =>
    portion('readings', async (tx, rows) => copyNewestReadings(tx, move, { windows, after, most: rows }))
  const live = async (): Promise<boolean> => {
    for (let after: CopiedTo | 'blocked' = 'nothing'; after !== 'end';) {
      if (after === 'blocked') return false
      after = await copyReadings(after)
    }
    for (;;) {
      const state = await portion('live', async (tx, rows) => moveLive(tx, move, { windows, most: rows }))
      if (state !== 'more') return state === 'done'
    }
  }
  if (!(await live())) {
    await rollUp({ database, windows, registries: [move.from, move.to] })
    // Requests that have to be folded first will be folded by the next run.
    if (!(await live())) return
  }
  for (let after = NO_DAY; ;) {
    const day = await nextDayToMove(jobs, move, after)
    if (day === undefined) break
    while ((await portion('day', async (tx, rows) => moveDay(tx, move, { day, most: rows }))) > 0);
    after = day
  }
  while ((await jobStep({ sql: jobs }, async (tx) => moveImportedDay(tx, move, windows))) > 0);
  await jobStep({ sql: jobs }, async (tx) => moveFiles(tx, move))
  const last = await moveRequests(jobs, move)
  await runSummaryStep(async () => {
    await deleteSummariesOf(jobs, move)
    await jobStep({ sql: jobs }, async (tx) => dropRegistry(tx, move, last))
  })
}

import { setImmediate } from 'node:timers/promises'
import { sql, type Kysely } from 'kysely'
import { isoTime, microsOf } from '../../events/calendar.js'
import { isConflict, type Database, type Sql } from '../../storage/sql/database.js'
import { isOver, waitOf } from '../../runtime/wait.js'
import type { JoinWindows } from '../model/join-windows.js'
import type { PendingRequest } from '../requests/pending.js'
import { withoutPushChecks } from '../fold-job/look-up-heads.js'
import { concernsAll, RegistryFailed } from '../fold-job/each-registry.js'
import { readNewRequests } from './new-requests.js'
import { dropSettled, foldProvisionalBatch, type FoldedState } from './provisional-batch.js'
import { clearProvisional, hasProvisionalWork, lockRun, setShown, takeRun, type LeasedRun } from './provisional-run.js'

type ProvisionalFoldDeps = {
  database: Database
  windows: JoinWindows
  now: () => Date
  /** A name of this process that is unique on the database. */
  holder: string
  sizes?: ProvisionalSizes
}

export type ProvisionalSizes = {
  /** Requests of one transaction. The embedded database does nothing else meanwhile. */
  batch: number
  /** Maximum number of requests of one run, in total and of one registry. */
  run: number
  registry: number
  /** Maximum number of requests that are folded and not settled: the memory of the process grows with it. */
  unsettled: number
}

const SIZES: Record<Database['engine'], ProvisionalSizes> = {
  postgresql: { batch: 1_000, run: 20_000, registry: 10_000, unsettled: 100_000 },
  pglite: { batch: 100, run: 2_000, registry: 1_000, unsettled: 20_000 },
}

/** The time limit for look-ups of one registry in a run: its clients may make look-ups slow, and other registries would wait. */
const MAX_LOOK_UPS_MS = 1_000

/**
 * Folds pending requests into `provisional.outcomes`, so that they are shown until they are settled. It continues copies of the chains
 * that the fold stored, and does not change these. Each request is folded once, soon after its arrival. The numbers are approximate,
 * because requests that arrive later may be earlier in time. One process at a time does it, with its open chains in memory.
 * @returns a function that folds new requests. It throws the errors of the database; the next call then begins with an empty state.
 * If a registry fails, its pulls are shown as pending, the others are folded, and the function throws an AggregateError at its end.
 */
export const createProvisionalFold = (deps: ProvisionalFoldDeps): (() => Promise<void>) => {
  const { database, holder } = deps
  let state: FoldedState | undefined
  database.losses.onLoss(() => (state = undefined))
  return async () => {
    const lossesBefore = database.losses.count()
    if (!(await hasProvisionalWork(database.jobs, microsOf(deps.now())))) return
    const run = await takeRun(database.jobs, holder)
    if (!run) {
      state = undefined
      return
    }
    const isSameEpoch = state?.epoch === run.epoch
    const remembered: FoldedState =
      isSameEpoch && state ? state : { epoch: run.epoch, registries: new Map(), isCleared: false }
    state = undefined
    const failures: unknown[] = []
    try {
      const isDone = await foldNew(deps, run, remembered, failures)
      if (isDone && database.losses.count() === lossesBefore) state = remembered
    } catch (error) {
      // An erasure or another process interfered: the next run begins with an empty state.
      if (!isConflict(error)) throw error
    }
    if (failures.length > 0) throw new AggregateError(failures, 'registries failed; the others were folded')
  }
}

/**
 * @param failures receives the failures of single registries
 * @returns false if an erasure or another process ended the run
 */
const foldNew = async (
  deps: ProvisionalFoldDeps,
  run: LeasedRun,
  state: FoldedState,
  failures: unknown[],
): Promise<boolean> => {
  const { database, now, sizes = SIZES[database.engine] } = deps
  const inTransaction = transactionsOf(database.jobs)
  const unsettled = await dropSettled(database.jobs, state)
  const most = Math.max(0, Math.min(sizes.run, sizes.unsettled - unsettled))
  const isFirst = !state.isCleared
  const shown = isFirst ? undefined : run.shown
  // If the clock is set back, no request is read twice.
  const until = Math.max(shown?.until ?? -Infinity, microsOf(now()))
  const found = await inTransaction(async (tx) => {
    if (!(await lockRun(tx, run))) return undefined
    if (isFirst) await clearProvisional(tx)
    else await deleteSettled(tx)
    const requests = await readNewRequests(tx, { shown, until, most, mostOfRegistry: sizes.registry })
    // The read may have taken longer than the lease.
    await lockRun(tx, run)
    return requests
  })
  if (!found) return false
  state.isCleared = true
  for (const [registry, requests] of found.requests) {
    const foldAll = async (): Promise<boolean> => {
      const turn = waitOf(MAX_LOOK_UPS_MS, now())
      const uses = await withoutPushChecks(database.jobs, requests, () => isOver(turn, now()))
      for (let from = 0; from < uses.length; from += sizes.batch) {
        const batch = uses.slice(from, from + sizes.batch)
        const isOwner = await inTransaction(
          async (tx) => (await lockRun(tx, run)) && foldProvisionalBatch(tx, { ...deps, registry, batch, state }),
        )
        if (!isOwner) return false
        // Other work on the database gets a turn.
        await setImmediate()
      }
      return true
    }
    const isOwner = await foldAll().catch(async (error: unknown) => {
      if (concernsAll(error)) throw error
      failures.push(new RegistryFailed(registry, error))
      state.registries.delete(registry)
      return inTransaction(async (tx) => (await lockRun(tx, run)) && hide(tx, registry, requests))
    })
    if (!isOwner) return false
  }
  await setShown(database.jobs, run, found.shown)
  return true
}

/** Shows the pulls of a registry as pending, not as provisional: its provisional rows, and requests that could not be folded. */
const hide = async (tx: Sql, registry: string, requests: readonly PendingRequest[]): Promise<true> => {
  const times = requests.map(({ at }) => isoTime(at))
  await sql`
    with gone as (
      delete from provisional.outcomes where registry = ${registry} returning at, last_at
    ), hidden as (
      select at as from_at, last_at as to_at from gone union all select at, at from unnest(${times}::timestamptz[]) as of (at)
    )
    insert into provisional.hidden as stored (registry, from_at, to_at)
    select ${registry}, min(from_at), max(to_at) from hidden
    on conflict (registry) do update
      set from_at = least(stored.from_at, excluded.from_at), to_at = greatest(stored.to_at, excluded.to_at)
  `.execute(tx)
  return true
}

/** Transactions with one snapshot for all statements, so that chains and the end of the fold match. */
const transactionsOf =
  (db: Kysely<unknown>) =>
  async <T>(work: (tx: Sql) => Promise<T>): Promise<T> =>
    db.transaction().setIsolationLevel('repeatable read').execute(work)

/** Deletes the provisional rows whose requests the fold has all taken. */
const deleteSettled = async (tx: Sql): Promise<void> => {
  await sql`
    delete from provisional.outcomes p using pulls.registries r where r.registry = p.registry and r.folded_to >= p.last_at
  `.execute(tx)
  await sql`
    delete from provisional.hidden h using pulls.registries r where r.registry = h.registry and r.folded_to >= h.to_at
  `.execute(tx)
}

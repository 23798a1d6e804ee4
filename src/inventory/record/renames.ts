import { sql } from 'kysely'
import type { Database } from '../../storage/sql/database.js'
import { finishMove, readOpenMoves } from './finish-moves.js'
import { moveRepository } from './move-repository.js'
import {
  hasRowsLeftFor,
  lateRenames,
  pendingRenames,
  renameBefore,
  renamedBy,
  renamingRegistries,
  reopenFrom,
  type StoredRename,
} from './read-renames.js'
import { takeTurns, type Parts } from './take-turns.js'

/** The rename and the repository at which the last run stopped. */
type Position = { event: string; name: string }
type Kind = 'pending' | 'late'
/** Where a run stopped in a registry; `open` is the id of the source of its last open move. */
type Positions = { pending?: Position | undefined; late?: Position | undefined; open: number }

/**
 * Where the runs of a process stopped, so that the next run continues after failures. Each process has its own turns, and
 * starts at the beginning.
 */
export type RenameTurns = { last?: string; positions: Map<string, Positions> }

export const createRenameTurns = (): RenameTurns => ({ positions: new Map() })

type Limits = {
  /** Renames since this time are checked again for late events: events from before a rename that name the old path. */
  since: Date
  turns?: RenameTurns
  /** Whether the time of the run is over: the run stops at the next page of rows. */
  isOver?: () => boolean
}

/**
 * Carries out new renames, and recent ones again for rows that came late. Rows that a rename moved are moved on only by a later
 * rename, so earlier renames leave them alone. Registries take turns, a repository at a time, so that the renames of one
 * registry do not delay another. When the time of the run is over, the rest stays pending, and its repositories are marked (see
 * isMoving).
 * @throws AggregateError if renames failed; the others were carried out, as far as there was time.
 */
export const carryOutRenames = async (
  database: Database,
  { since, turns = createRenameTurns(), isOver = () => false }: Limits,
): Promise<void> => {
  const errors: unknown[] = []
  const queues = new Map<string, Parts>()
  const registries = new Set(await renamingRegistries(database.sql, since))
  for (const registry of turns.positions.keys()) if (!registries.has(registry)) turns.positions.delete(registry)
  for (const registry of registries) {
    const queue = { database, registry, since, turns, isOver, errors }
    queues.set(registry, pendingOf(queue))
    // Late rows have a queue of their own, since their paths are not marked: they should not wait for all new renames.
    queues.set(`${registry} late`, lateOf(queue))
  }
  errors.push(...(await takeTurns(queues, turns, isOver)))
  if (errors.length > 0) throw new AggregateError(errors, `${errors.length} failed; the others were done`)
}

type Queue = Required<Limits> & { database: Database; registry: string; errors: unknown[] }

const positionsOf = ({ turns, registry }: Queue): Positions => {
  const positions = turns.positions.get(registry) ?? { open: 0 }
  turns.positions.set(registry, positions)
  return positions
}

async function* pendingOf(queue: Queue): Parts {
  const { database, registry, isOver, errors } = queue
  const positions = positionsOf(queue)
  for (const move of await readOpenMoves(database.sql, { renamesOf: registry, after: positions.open })) {
    const end = await finishMove(database, move, isOver).catch((error: unknown) => errors.push(error))
    if (end !== 'over') positions.open = move.from_id
    yield
  }
  positions.open = 0
  yield* carryOutAll(queue, 'pending', await pendingRenames(database.sql, registry, positions.pending?.event))
}

async function* lateOf(queue: Queue): Parts {
  const { database, registry, since } = queue
  yield* carryOutAll(queue, 'late', await lateRenames(database.sql, registry, since))
}

/** Carries out renames from the position on, followed by those before it. */
async function* carryOutAll(queue: Queue, kind: Kind, renames: readonly StoredRename[]): Parts {
  const positions = positionsOf(queue)
  const begin = positions[kind]
  const first = Math.max(
    renames.findIndex(({ event }) => event === begin?.event),
    0,
  )
  const inTurn = [...renames.slice(first), ...renames.slice(0, first)]
  for (const [i, rename] of inTurn.entries()) {
    const parts = carryOut(queue, rename, begin?.event === rename.event ? begin.name : '')
    positions[kind] = { event: rename.event, name: '' }
    for (let next = await parts.next(); next.done !== true; next = await parts.next()) {
      positions[kind] = { event: rename.event, name: next.value }
      yield
    }
    const following = inTurn[i + 1]
    positions[kind] = following && { event: following.event, name: '' }
    yield
  }
}

/**
 * Carries out a rename for the repositories after a name. The rename is marked as carried out if it has no rows left in any
 * repository.
 * @yields each repository that was moved, or is blocked.
 */
async function* carryOut(queue: Queue, rename: StoredRename, after: string): AsyncGenerator<string, void> {
  const { database, errors } = queue
  let isWhole = true
  for (const name of await renamedBy(database.sql, rename, after)) {
    try {
      if (!(await moveBy(queue, rename, name))) isWhole = false
    } catch (error) {
      errors.push(error)
      isWhole = false
    }
    yield name
  }
  if (!isWhole || (after !== '' && (await renamedBy(database.sql, rename, '')).length > 0)) return
  await sql`
    update inventory.renames set carried_at = now() where event_id = ${rename.event} and carried_at is null
  `.execute(database.sql)
}

/**
 * Moves a repository by a rename. Earlier renames of the old path and of the new path are carried out first, so that the result
 * does not depend on the order of the runs.
 * @returns whether the move is done.
 */
const moveBy = async (queue: Queue, rename: StoredRename, name: string): Promise<boolean> => {
  const { database, since, isOver } = queue
  const before = await renameBefore(database.sql, name, rename, since)
  if (before) {
    if (!(await moveBy(queue, before, name))) return false
    if (!(await hasRowsLeftFor(database.sql, name, rename))) return true
  }
  const { registry, from, to, at } = rename
  const target = to + name.slice(from.length)
  // Rows at the new path move on first: once rows are merged, they cannot be separated.
  const beforeAtTarget = await renameBefore(database.sql, target, rename, since)
  if (beforeAtTarget && !(await moveBy(queue, beforeAtTarget, target))) return false
  await reopenFrom(database.sql, rename)
  const move = { from: { registry, name }, to: { registry, name: target }, until: at }
  return (await moveRepository(database, move, isOver)) === 'done'
}

import { sql, type RawBuilder } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { Database, Sql } from '../../storage/sql/database.js'
import { jobStep, type Step } from '../../storage/sql/retried-transaction.js'
import { propagateEverywhere, propagateToShown } from './propagate-blobs.js'
import { lockManifestsOf } from './lock-manifests.js'
import { CHANGES, isMoved, isEventRowMoved, LOOKUPS, PUSHES, type EventTable } from './moved-rows.js'
import { closeMove, MoveBlocked, openMove, assertNoOtherOpenMove, type Ids } from './open-moves.js'
import { BLOB, MANIFEST, TAG, mergeOnConflict, type KeyedTable } from './merge-rows.js'
import { repositoryId } from './repository-id.js'
import { MERGE_SET_ASIDE } from './store-set-aside.js'

/** A repository, and the repository to which everything recorded about it belongs. */
export type RepositoryMove = {
  from: NamedRepository
  to: NamedRepository
  /**
   * The time of a rename. Rows with later times stay, and so do rows that a rename at this time or later brought. Without it,
   * all rows move.
   */
  until?: Micros
}
type NamedRepository = { registry: string; name: string }

/** Rows that move in one transaction. Batches for either repository wait for it, and have 2 s. */
const AT_ONCE = 1_000
/** Fewer, because each manifest moves with its blobs. */
const MANIFESTS_AT_ONCE = 100

/**
 * Moves the recorded data of a repository to another one, which may exist already. Rows of both are merged as if all events had
 * been about one repository. The move works in steps, each of them a transaction; repeating it changes nothing, and finishes an
 * interrupted move. The move is open from the first row that moves until the last (see isMoving).
 * @param isOver whether to leave the rest to another run; at least one page of rows is moved
 * @returns `blocked` if another open move has to be finished first, `over` if there was no time for the rest
 */
export const moveRepository = async (
  database: Database,
  move: RepositoryMove,
  isOver: () => boolean = () => false,
): Promise<'done' | 'blocked' | 'over'> => {
  const inPages = async (most: number, page: Page): Promise<void> => movePages(database, move, { most, page, isOver })
  try {
    // Manifests before blobs: a transaction that propagates their blobs to the old path is waited for here.
    await inPages(MANIFESTS_AT_ONCE, moveManifests(move))
    await inPages(AT_ONCE, async (tx, ids, after) => moveKeyed(tx, ids, { ...BLOB, move, after }))
    await inPages(AT_ONCE, async (tx, ids, after) => moveKeyed(tx, ids, { ...TAG, move, after }))
    for (const eventTable of [LOOKUPS, PUSHES, CHANGES])
      await inPages(AT_ONCE, async (tx, ids) => moveEventRows(tx, ids, { ...eventTable, move }))
    await step(database, move, async (tx, ids) => closeMove(tx, ids, move))
    return 'done'
  } catch (error) {
    if (error instanceof MoveBlocked) return 'blocked'
    if (error instanceof RunIsOver) return 'over'
    throw error
  }
}

class RunIsOver extends Error {}

/** @returns the keys of the moved rows, in their order. */
type Page = (tx: Step, ids: Ids, after: string) => Promise<string[]>

const movePages = async (
  database: Database,
  move: RepositoryMove,
  { most, page, isOver }: { most: number; page: Page; isOver: () => boolean },
): Promise<void> => {
  for (let after: string | undefined = ''; after !== undefined;) {
    const from: string = after
    const keys = await step(database, move, async (tx, ids) => {
      const moved = await page(tx, ids, from)
      if (moved.length > 0) await openMove(tx, ids, move)
      return moved
    })
    after = keys === undefined || keys.length < most ? undefined : keys.at(-1)
    if (keys !== undefined && keys.length > 0 && isOver())
      throw new RunIsOver('the rest of the move is for the next run')
  }
}

/** @returns undefined if there is nothing to move. */
const step = async <T>(
  database: Database,
  move: RepositoryMove,
  work: (tx: Step, ids: Ids) => Promise<T>,
): Promise<T | undefined> =>
  jobStep(database, async (tx) => {
    const ids = await lockBoth(tx, move)
    if (!ids) return undefined
    await assertNoOtherOpenMove(tx, ids)
    return work(tx, ids)
  })

/**
 * Batches lock the row of each repository before anything in it, so no batch is in progress in either repository while both are
 * locked.
 */
const lockBoth = async (tx: Sql, { from, to, until }: RepositoryMove): Promise<Ids | undefined> => {
  const { rows } = await sql<{ id: number; is_source: boolean }>`
    select id, (registry, name) = (${from.registry}, ${from.name}) as is_source
    from inventory.repositories
    where (registry, name) in ((${from.registry}, ${from.name}), (${to.registry}, ${to.name}))
    order by registry, name
    for update
  `.execute(tx)
  const source = rows.find(({ is_source }) => is_source)?.id
  if (source === undefined) return undefined
  const known = rows.find(({ is_source }) => !is_source)?.id
  const at = sql`${until === undefined ? null : isoTime(until)}::timestamptz`
  // A rename shows the new path, and leaves objects that were deleted there before; an alias is the same repository. If a
  // rename merges two repositories, the result counts as reconciled if both were.
  const { rows: targets } = await sql<{ id: number }>`
    insert into inventory.repositories as r
      (id, registry, name, first_seen_at, last_seen_at, deleted_at, reconciled_at, undecided_at) overriding system value
    select ${sql.raw(repositoryId(String(known ?? null)))}, ${to.registry}, ${to.name}, first_seen_at, coalesce(${at}, last_seen_at),
      case when ${at} is null then deleted_at end, reconciled_at, undecided_at
    from inventory.repositories where id = ${source}
    on conflict (registry, name) do update
      set first_seen_at = least(r.first_seen_at, excluded.first_seen_at),
          last_seen_at = greatest(r.last_seen_at, excluded.last_seen_at),
          deleted_at = greatest(r.deleted_at, excluded.deleted_at),
          undecided_at = greatest(r.undecided_at, excluded.undecided_at),
          ended_at = case when ${at} is null then null else r.ended_at end,
          reconciled_at = case
            when ${at} is null then greatest(r.reconciled_at, excluded.reconciled_at)
            when r.reconciled_at is not null and excluded.reconciled_at is not null
              then least(r.reconciled_at, excluded.reconciled_at)
          end
    returning id
  `.execute(tx)
  await copySetAside(tx, from, to)
  const target = targets[0]?.id
  return target === undefined || target === source ? undefined : { from: source, to: target }
}

/** A copy, because a set-aside event may have arrived after the rename, and be about either path. */
const copySetAside = async (tx: Sql, from: NamedRepository, to: NamedRepository): Promise<void> => {
  await sql`
    insert into inventory.set_aside_events as stored (registry, name, arrived_at, changed_at, reason)
    select ${to.registry}, ${to.name}, arrived_at, changed_at, reason
    from inventory.set_aside_events where (registry, name) = (${from.registry}, ${from.name})
    ${MERGE_SET_ASIDE}
  `.execute(tx)
}

const moveManifests =
  (move: RepositoryMove): Page =>
  async (tx, ids, after) => {
    const which = isMoved(MANIFEST, move)
    await lockManifestsOf(tx, ids.from, { which, after, most: MANIFESTS_AT_ONCE })
    const digests = await moveKeyed(tx, ids, { ...MANIFEST, move, after, most: MANIFESTS_AT_ONCE })
    if (move.from.registry !== move.to.registry) {
      await creditRegistry(tx, digests, move)
      await propagateEverywhere(tx, await listedOf(tx, digests))
    }
    await propagateToShown(
      tx,
      digests.map((digest) => ({ ...move.to, digest })),
    )
    return digests
  }

/** Everything that an alias stated counts as stated by its registry. */
const creditRegistry = async (tx: Sql, digests: readonly string[], { from, to }: RepositoryMove): Promise<void> => {
  const credited = (column: string): RawBuilder<unknown> => {
    const registries = sql.ref(column)
    return sql`${registries} = case when ${from.registry} = any(${registries}) and ${to.registry} <> all(${registries})
      then array(select unnest(${registries} || ${to.registry}::text) order by 1) else ${registries} end`
  }
  await sql`
    update inventory.manifests set ${sql.join(['stated_by', 'completed_by', 'typed_by', 'withheld_in'].map(credited))}
    where digest = any(${digests}::text[]) and ${from.registry} = any(coalesce(stated_by, '{}') || coalesce(typed_by, '{}'))
  `.execute(tx)
}

/** The manifests that have a list: it may be known in every registry from now on. */
const listedOf = async (tx: Sql, digests: readonly string[]): Promise<string[]> => {
  const { rows } = await sql<{ digest: string }>`
    select digest from inventory.manifests where digest = any(${digests}::text[]) and cardinality(stated_by) > 0 order by digest
  `.execute(tx)
  return rows.map(({ digest }) => digest)
}

/**
 * Selects rows by their physical position (ctid), so that the statistics of PostgreSQL do not matter. A row that changes in
 * between moves in the next run.
 */
const moveKeyed = async (
  tx: Sql,
  { from, to }: Ids,
  { move, after, most = AT_ONCE, ...keyed }: KeyedTable & { move: RepositoryMove; after: string; most?: number },
): Promise<string[]> => {
  const { table, key, newest, others } = keyed
  const copied = [key, ...newest.filter((column) => column !== 'deleted_at'), ...Object.keys(others)].join(', ')
  const at = sql`${move.until === undefined ? null : isoTime(move.until)}::timestamptz`
  const { rows } = await sql<{ key: string }>`
    with moved as (
      delete from inventory.${sql.raw(table)} o
      where o.ctid = any(array(
        select p.ctid from inventory.${sql.raw(table)} p
        where repository_id = ${from} and ${sql.raw(key)} > ${after} and ${isMoved(keyed, move)}
        order by ${sql.raw(key)} limit ${most} for update
      ))
      returning o.*
    )
    insert into inventory.${sql.raw(table)} as o (repository_id, ${sql.raw(copied)}, deleted_at, moved_at)
    select ${to}::int, ${sql.raw(copied)}, greatest(deleted_at, closed.at), greatest(moved_at, ${at})
    from moved left join lateral (
      select r.deleted_at as at from inventory.repositories r
      where r.id = ${from} and r.deleted_at > coalesce(moved.moved_at, '-infinity') and r.deleted_at <= ${at}
    ) closed on true
    order by ${sql.raw(key)}
    ${sql.raw(mergeOnConflict(keyed, { isMoved: true }))}
    returning ${sql.raw(key)} as key
  `.execute(tx)
  return rows.map((row) => row.key)
}

const moveEventRows = async (
  tx: Sql,
  { from, to }: Ids,
  { table, also, move }: EventTable & { move: RepositoryMove },
): Promise<string[]> => {
  const at = sql`${move.until === undefined ? null : isoTime(move.until)}::timestamptz`
  const { rows } = await sql<{ key: string }>`
    update inventory.${sql.raw(table)}
    set repository_id = ${to}, moved_at = greatest(moved_at, ${at}) ${sql.raw(also)}
    where ctid = any(array(
      select ctid from inventory.${sql.raw(table)}
      where repository_id = ${from} and ${isEventRowMoved(move)} limit ${AT_ONCE} for update
    ))
    returning ctid::text as key
  `.execute(tx)
  return rows.map(({ key }) => key)
}

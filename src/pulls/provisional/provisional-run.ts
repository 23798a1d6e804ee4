import { sql } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import { MOST_AHEAD_SECONDS } from '../../runtime/clock-ahead.js'
import type { Sql } from '../../storage/sql/database.js'
import { inBlocks } from '../../storage/sql/in-blocks.js'
import { epochMicros } from '../../storage/sql/moments.js'
import { isForeignSnapshot, SHOWN_RUN } from '../model/shown-run.js'

/** The run of the provisional fold, as the process with its lease knows it. */
export type LeasedRun = { holder: string; epoch: string; shown: Shown | undefined }

/** The requests that were read: the ones visible in a snapshot, up to a moment. */
export type Shown = { snapshot: string; until: Micros }

/** If a process does not renew its lease for so long, another process takes over. A busy process renews it every 15 s. */
const LEASE = sql`interval '45 seconds'`

/**
 * Whether the provisional fold has work: new requests, requests whose time is reached, or rows that may be settled. It writes nothing.
 * @param until the clock; requests ahead of it are left for later
 */
export const hasProvisionalWork = async (db: Sql, until: Micros): Promise<boolean> => {
  const { rows } = await sql<{ isWork: boolean }>`
    with run as (${SHOWN_RUN})
    select exists (select from provisional.outcomes) or exists (select from provisional.hidden)
      or run.snapshot is null and exists (select from pulls.pending)
      or exists (
        select from pulls.pending p
        where p.xact >= pg_snapshot_xmin(run.snapshot) and not pg_visible_in_snapshot(p.xact, run.snapshot)
      )
      or exists (
        select from pulls.registries r join pulls.pending p
          on p.registry = r.registry and p.at > run.shown_to and p.at <= ${isoTime(until)}::timestamptz
      ) as "isWork"
    from run
  `.execute(db)
  return rows[0]?.isWork === true
}

/**
 * Takes the lease of the run, or renews it: one process at a time folds provisionally.
 * @returns undefined if another process has the lease
 */
export const takeRun = async (db: Sql, holder: string): Promise<LeasedRun | undefined> => {
  const { rows } = await sql<{ epoch: string; snapshot: string | null; until: string | null }>`
    insert into provisional.run as run (holder, until) values (${holder}, now() + ${LEASE})
    on conflict (number) do update set holder = excluded.holder, until = excluded.until,
        epoch = case when run.holder = excluded.holder and not ${isForeignSnapshot} then run.epoch else run.epoch + 1 end,
        snapshot = case when not ${isForeignSnapshot} then run.snapshot end
      where run.holder is null or run.holder = excluded.holder or run.until < now()
        -- The clock was ahead when its holder took it.
        or run.until > now() + ${LEASE} + ${MOST_AHEAD_SECONDS} * interval '1 second'
    returning epoch::text, snapshot, ${epochMicros(sql`shown_to`)}::text as until
  `.execute(db)
  const [row] = rows
  if (!row) return undefined
  const { epoch, snapshot, until } = row
  return { holder, epoch, shown: snapshot === null || until === null ? undefined : { snapshot, until: Number(until) } }
}

/** Releases the lease, so that another process need not wait until it expires. */
export const releaseRun = async (db: Sql, holder: string): Promise<void> => {
  await sql`update provisional.run set holder = null where holder = ${holder}`.execute(db)
}

/**
 * Renews the lease. Until the transaction ends, no other process folds provisionally, and no erasure begins.
 * @returns whether this process still has the lease
 */
export const lockRun = async (tx: Sql, { holder, epoch }: LeasedRun): Promise<boolean> => {
  const { rows } = await sql`
    update provisional.run set until = clock_timestamp() + ${LEASE}
    where holder = ${holder} and epoch = ${epoch}::bigint returning 1
  `.execute(tx)
  return rows.length > 0
}

/** Stores which requests are shown, or known to be hidden. */
export const setShown = async (tx: Sql, { holder, epoch }: LeasedRun, { snapshot, until }: Shown): Promise<void> => {
  await sql`
    update provisional.run set snapshot = ${snapshot}, shown_to = ${isoTime(until)}::timestamptz where holder = ${holder} and epoch = ${epoch}::bigint
  `.execute(tx)
}

/**
 * Deletes all provisional rows; the requests that are pending then are folded again. The process that folds provisionally drops its
 * state, so that no erased or moved row is written again.
 */
export const restartProvisional = async (tx: Sql): Promise<void> => {
  await sql`
    insert into provisional.run as run (epoch) values (1)
    on conflict (number) do update set epoch = run.epoch + 1
  `.execute(tx)
  await clearProvisional(tx)
}

/** Deletes all provisional rows. Until `setShown`, answers report that requests are pending. */
export const clearProvisional = async (tx: Sql): Promise<void> => {
  await sql`update provisional.run set snapshot = null`.execute(tx)
  // There may be one row for each pending request.
  await inBlocks(tx, 'provisional.outcomes', async (isInPart) => {
    const { numAffectedRows } = await sql`delete from provisional.outcomes where ${isInPart}`.execute(tx)
    return Number(numAffectedRows ?? 0)
  })
  await sql`delete from provisional.hidden`.execute(tx)
}

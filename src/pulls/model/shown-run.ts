import { sql } from 'kysely'

/**
 * Whether `run.snapshot` is of another database: after a dump was restored, transactions begin again with smaller numbers, and
 * what is new cannot be found by such a snapshot.
 */
export const isForeignSnapshot = sql`
  coalesce(pg_snapshot_xmax(run.snapshot::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot()), false)`

/**
 * Which requests the provisional fold has looked at, in one row: those of `snapshot` up to the time `shown_to`. Both are null if
 * it has to look at all requests.
 */
export const SHOWN_RUN = sql`
  select max(run.snapshot)::pg_snapshot as snapshot, max(run.shown_to) as shown_to
  from provisional.run run where not ${isForeignSnapshot}`

import { sql } from 'kysely'

/**
 * Whether `run.snapshot` is of another database. After a dump was restored, transactions get smaller numbers again, and such a
 * snapshot does not show which requests are new.
 */
export const isForeignSnapshot = sql`
  coalesce(pg_snapshot_xmax(run.snapshot::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot()), false)`

/**
 * The requests that the provisional fold has read, in one row: the requests visible in `snapshot`, up to the time `shown_to`.
 * Both are null if the provisional fold has to read all requests.
 */
export const SHOWN_RUN = sql`
  select max(run.snapshot)::pg_snapshot as snapshot, max(run.shown_to) as shown_to
  from provisional.run run where not ${isForeignSnapshot}`

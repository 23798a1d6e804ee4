import { MICROS_PER_SECOND } from '../../events/calendar.js'
import type { Database } from '../../storage/sql/database.js'
import type { JoinWindows } from '../model/join-windows.js'

/**
 * Stores since when requests are joined by these windows, if the windows have changed. The first windows count as valid from the
 * beginning.
 */
export const keepWindows = async (
  { run }: Pick<Database, 'run'>,
  { join, blobs, session }: JoinWindows,
  now: Date,
): Promise<void> => {
  await run(KEEP_WINDOWS, [now, ...[join, blobs, session].map((window) => window / MICROS_PER_SECOND)])
}

const KEEP_WINDOWS = {
  name: 'keep-windows',
  text: `
    insert into pulls.windows (from_at, join_seconds, blob_seconds, session_seconds)
    select case when exists (select from pulls.windows) then $1::timestamptz else '-infinity' end, $2::int, $3::int, $4::int
    where ($2::int, $3::int, $4::int) is distinct from (
      select row(join_seconds, blob_seconds, session_seconds) from pulls.windows order by from_at desc limit 1
    )
    on conflict (from_at) do nothing`,
}

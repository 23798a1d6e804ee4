import { sql } from 'kysely'
import { addDays } from '../pulls/model/period.js'
import { oldestDay } from '../pulls/roll-up/expire-outcomes.js'
import { inOneSnapshot } from '../pulls/query/in-one-snapshot.js'
import { listSegments } from '../pulls/segments/segment-table.js'
import type { Database } from '../storage/sql/database.js'
import { optional, REQUESTED_AT, required, type Column } from './columns.js'
import type { ExportTable } from './export-table.js'
import { daysBetween } from './days-between.js'
import { fileRequests } from './file-requests.js'
import { liveRequests } from './live-requests.js'
import { REQUESTER_COLUMNS } from './requester-columns.js'
import { readSorted } from './slices.js'

/** The order of the columns is the order of the rows. */
const COLUMNS: readonly Column[] = [
  required(REQUESTED_AT, 'timestamp'),
  required('registry', 'text'),
  required('repository', 'text'),
  required('origin', 'text'),
  required('id', 'text'),
  required('method', 'text'),
  required('object', 'text'),
  optional('tag', 'text'),
  optional('digest', 'text'),
  required('status', 'int32'),
  optional('media_type', 'text'),
  optional('bytes', 'int64'),
  required('is_late', 'boolean'),
  ...REQUESTER_COLUMNS,
]

type RequestsDeps = {
  database: Pick<Database, 'jobs'>
  registries: readonly string[] | undefined
  publicId: (id: string) => string
  /** The days for which requests of notifications are kept, and the time. */
  keptDays: number
  now: Date
}

/** All requests: those that arrived in notifications, and those that were read from files. */
export const requestsTable = ({
  database: { jobs },
  registries,
  publicId,
  keptDays,
  now,
}: RequestsDeps): ExportTable => ({
  name: 'requests',
  columns: COLUMNS,
  daysIn: async (days) =>
    daysBetween(
      jobs,
      days,
      sql`
        select min(at) at time zone 'UTC' as first, max(at) at time zone 'UTC' as last from pulls.requests
        union all select min(at) at time zone 'UTC', max(at) at time zone 'UTC' from pulls.pending
        union all select min(day)::timestamp, max(day)::timestamp from pulls.segments
      `,
    ),
  // Requests expire by the hour, so that the oldest day is not whole.
  completeFrom: async () => Promise.resolve(addDays(oldestDay(keptDays, now), 1)),
  readDay: async (day, take) =>
    inOneSnapshot(jobs, async (tx) => {
      const segments = await listSegments(tx, day, registries)
      await readSorted(day, [liveRequests(tx, day, registries), fileRequests(tx, day, { segments, publicId })], take)
    }),
  notes: () => [],
})

import { sql } from 'kysely'
import { currentOutcomes } from '../pulls/query/current-outcomes.js'
import { inOneSnapshot } from '../pulls/query/in-one-snapshot.js'
import type { Database } from '../storage/sql/database.js'
import { epochMicros } from '../storage/sql/moments.js'
import { optional, REQUESTED_AT, required, type Column, type Row, type Value } from './columns.js'
import { daysBetween } from './days-between.js'
import type { ExportTable } from './export-table.js'
import { REQUESTER_COLUMNS } from './requester-columns.js'
import { readSorted } from './slices.js'
import { createShare, sqlSource } from './sql-source.js'

/** The columns of pulls.outcomes that describe an invocation; the order of the columns is the order of the rows. */
const COLUMNS: readonly Column[] = [
  required(REQUESTED_AT, 'timestamp'),
  required('registry', 'text'),
  required('repository', 'text'),
  required('origin', 'text'),
  required('id', 'text'),
  required('is_pull', 'boolean'),
  required('by_tag', 'boolean'),
  optional('tag', 'text'),
  optional('digest', 'text'),
  required('gets', 'int32'),
  required('platform', 'text'),
  optional('platform_from', 'text'),
  required('platform_pulls', 'int32'),
  required('layers', 'int32'),
  required('bytes', 'int64'),
  required('starts_session', 'boolean'),
  required('shows_blobs', 'boolean'),
  ...REQUESTER_COLUMNS,
]

const SELECTED = COLUMNS.map(({ name, type }) => {
  if (type === 'timestamp') return sql`${epochMicros(sql`o.at`)} as ${sql.ref(name)}`
  return name === 'is_pull' ? sql`o.gets > 0 as is_pull` : sql.ref(`o.${name}`)
})

type InvocationsDeps = {
  database: Pick<Database, 'jobs'>
  registries: readonly string[] | undefined
  publicId: (id: string) => string
}

/** All invocations, of which the newest may still change, as in the answers about pulls. */
export const invocationsTable = ({ database: { jobs }, registries, publicId }: InvocationsDeps): ExportTable => ({
  name: 'invocations',
  columns: COLUMNS,
  daysIn: async (days) =>
    daysBetween(
      jobs,
      days,
      sql`
        select min(at) at time zone 'UTC' as first, max(at) at time zone 'UTC' as last from pulls.outcomes
        union all select min(at) at time zone 'UTC', max(at) at time zone 'UTC' from provisional.outcomes
      `,
    ),
  completeFrom: async () => {
    const { rows } = await sql<{ day: string | null }>`
      select max(kept_from) filter (where isfinite(kept_from))::text as day from pulls.registries
    `.execute(jobs)
    return rows[0]?.day ?? undefined
  },
  readDay: async (day, take) =>
    inOneSnapshot(jobs, async (tx) => {
      const table = sql`(select * from ${await currentOutcomes(tx)} c where c.what = 'invocation')`
      const select = sql<StoredInvocation>`${sql.join(SELECTED)}`
      await readSorted(day, [sqlSource(tx, day, { table, select, registries, toRow: createToRow(publicId) })], take)
    }),
  notes: () => [],
})

type StoredInvocation = Record<string, Value>

/** The id of an invocation is the id of its first request. That of a line in a file is replaced, as in `requests`. */
const createToRow = (publicId: InvocationsDeps['publicId']): ((stored: StoredInvocation) => Row) => {
  const share = createShare()
  return (stored) =>
    COLUMNS.map(({ name, type }): Value => {
      const value = stored[name] ?? null
      if (value === null) return null
      if (name === 'id') return stored.source === 'access_log' ? publicId(String(value)) : String(value)
      if (type === 'text') return share(String(value))
      return type === 'boolean' ? value === true : Number(value)
    })
}

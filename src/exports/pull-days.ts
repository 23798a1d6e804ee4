import { sql, type Kysely } from 'kysely'
import { microsOf } from '../events/calendar.js'
import type { DimensionName } from '../pulls/model/dimensions.js'
import { MEASURE_NAMES, type MeasureName } from '../pulls/model/measures.js'
import { addDays } from '../pulls/model/period.js'
import { minimumOf } from '../pulls/query/minimum-group-size.js'
import type { PullsContext } from '../pulls/query/notes.js'
import type { PullsQuery } from '../pulls/query/parameters.js'
import { queryPulls, type PullsRow } from '../pulls/query/query-pulls.js'
import type { Database } from '../storage/sql/database.js'
import { inRowOrder, optional, required, type Row } from './columns.js'
import { daysBetween } from './days-between.js'
import type { ExportTable } from './export-table.js'

/** The dimensions of each row; `--group-by` adds others. */
export const PULL_DAYS_BY = ['registry', 'repository'] as const satisfies DimensionName[]

/** More groups than any day has. */
const ALL = 10_000_000
/** The repositories of one query. The rows of a day are read in portions, because each has a sketch for each unique number. */
const REPOSITORIES_AT_ONCE = 1_000

type PullDaysDeps = {
  database: Pick<Database, 'jobs'>
  registries: readonly string[] | undefined
  /** Dimensions beside PULL_DAYS_BY. */
  groupBy: readonly DimensionName[]
  context: PullsContext
  now: Date
}

/** The numbers of each UTC day, as `tallyman pulls` answers them: both use the same queries. */
export const pullDaysTable = ({ database: { jobs }, registries, groupBy, context, now }: PullDaysDeps): ExportTable => {
  const dimensions = [...new Set<DimensionName>([...PULL_DAYS_BY, ...groupBy])]
  const notes = new Set<string>()
  const query = async ({ day, by = dimensions, measures = MEASURE_NAMES, only }: DayQuery): Promise<PullsRow[]> => {
    const wanted = only ? [only.registry] : registries
    const answer = await queryPulls(
      jobs,
      {
        ...{ measures, groupBy: by, period: { from: day, to: addDays(day, 1) }, timeZone: 'UTC' },
        ...{ compare: false, limit: ALL, queriedAt: microsOf(now) },
        filters: [
          ...(wanted === undefined ? [] : [{ dimension: 'registry' as const, values: [...wanted] }]),
          ...(only === undefined ? [] : [{ dimension: 'repository' as const, values: only.repositories }]),
        ],
      } satisfies PullsQuery,
      context,
    )
    for (const note of answer.rows.length > 0 ? answer.notes : []) notes.add(note)
    return answer.rows
  }
  return {
    name: 'pull-days',
    columns: [
      ...dimensions.map((name) => required(name, 'text')),
      ...MEASURE_NAMES.map((name) => optional(name, 'int64')),
    ],
    daysIn: async (days) => daysWithPulls(jobs, days),
    completeFrom: async () => Promise.resolve(undefined),
    readDay: async (day, take) => {
      const toRow = (row: PullsRow): Row => [
        ...dimensions.map((name) => row[name] ?? null),
        ...MEASURE_NAMES.map((name) => row[name] ?? null),
      ]
      // If small groups are merged, the result depends on all groups.
      const isMerging = minimumOf(context) !== undefined
      const all = isMerging ? [] : await query({ day, by: [...PULL_DAYS_BY], measures: ['invocations'] })
      for (const only of all.length <= REPOSITORIES_AT_ONCE ? [undefined] : portionsOf(all)) {
        const rows = await query({ day, only })
        if (rows.length > 0) await take(rows.map(toRow).sort(inRowOrder))
      }
    },
    notes: () => [...notes],
  }
}

/** Repositories of one registry. */
type Portion = { registry: string; repositories: string[] }
type DayQuery = { day: string; by?: DimensionName[]; measures?: MeasureName[]; only?: Portion | undefined }

/** Divides repositories into portions in the order of the rows. */
const portionsOf = (rows: readonly PullsRow[]): Portion[] => {
  const portions: Portion[] = []
  const names = rows.map(({ registry = '', repository = '' }) => [registry, repository] as const)
  for (const [registry, repository] of names.sort(inRowOrder)) {
    const last = portions.at(-1)
    if (last?.registry === registry && last.repositories.length < REPOSITORIES_AT_ONCE)
      last.repositories.push(repository)
    else portions.push({ registry, repositories: [repository] })
  }
  return portions
}

const daysWithPulls = async (
  db: Kysely<unknown>,
  days: Parameters<ExportTable['daysIn']>[0],
): ReturnType<ExportTable['daysIn']> =>
  daysBetween(
    db,
    days,
    sql`
      select min(day)::timestamp as first, max(day)::timestamp as last from pulls.days
      union all select min(at) at time zone 'UTC', max(at) at time zone 'UTC' from pulls.outcomes
      union all select min(at) at time zone 'UTC', max(at) at time zone 'UTC' from provisional.outcomes
    `,
  )

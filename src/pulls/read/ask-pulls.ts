import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/database.js'
import { countUnion, HyperLogLog } from '../../storage/hyperloglog/hyperloglog.js'
import type { Asked } from './asked.js'
import { countedIn } from './counted.js'
import { dimension, type DimensionName } from './dimensions.js'
import { scopeOf } from './filters.js'
import { notesOn, type Context } from './notes.js'
import { measure, type MeasureName } from './measures.js'
import { addDays, periodBefore, type Period } from './period.js'

export type PullsRow = Partial<Record<DimensionName, string>> & Partial<Record<MeasureName, number>>

export type PullsAnswer = {
  rows: PullsRow[]
  /** Of the whole period, whatever the groups. */
  total: PullsRow
  /** First and last day, in the time zone. */
  period: { since: string; until: string; time_zone: string; weekday?: number }
  /** What was in the period before, where that was asked for. */
  previous?: { period: { since: string; until: string }; total: PullsRow }
  /** What each number is, and whether it was counted or estimated. */
  definitions: Record<string, { definition: string; made: 'counted' | 'estimated' }>
  /** Whether there are more groups than rows. */
  is_cut: boolean
  /** What else is to be known of these numbers, in sentences. */
  notes: string[]
}

/** Answers a question about pulls. */
export const askPulls = async (db: Sql, asked: Asked, context: Context): Promise<PullsAnswer> => {
  const { measures, groupBy, period, timeZone, limit } = asked
  const total = await totalOf(db, asked, period)
  const rows = groupBy.length === 0 ? [total] : await rowsOf(db, asked, period)
  const before = periodBefore(period)
  return {
    rows: rows.slice(0, limit),
    total,
    period: {
      ...daysOf(period),
      time_zone: timeZone,
      ...(period.weekday !== undefined && { weekday: period.weekday }),
    },
    ...(asked.compare && { previous: { period: daysOf(before), total: await totalOf(db, asked, before) } }),
    definitions: Object.fromEntries(
      measures.map((name) => [
        name,
        { definition: measure(name).definition, made: 'distinct' in measure(name) ? 'estimated' : 'counted' },
      ]),
    ),
    is_cut: rows.length > limit,
    notes: notesOn(asked, context),
  }
}

const daysOf = ({ from, to }: Period): { since: string; until: string } => ({
  since: from,
  until: addDays(to, -1),
})

const totalOf = async (db: Sql, asked: Asked, period: Period): Promise<PullsRow> => {
  const [row] = await rowsOf(db, { ...asked, groupBy: [] }, period)
  return row ?? {}
}

const rowsOf = async (db: Sql, asked: Asked, period: Period): Promise<PullsRow[]> => {
  const { measures, groupBy, timeZone, limit } = asked
  const { local, from, to, conditions } = scopeOf(asked, period)
  const groups = groupBy.map((name) => [name, dimension(name).value(local)] as const)
  const columns = [
    ...groups.map(([name, value]) => sql`${value} as ${sql.ref(name)}`),
    ...measures.flatMap((name) => columnsOf(name)),
  ]
  const places = groups.map((_, i) => sql.lit(i + 1))
  const isTime = groupBy.some((name) => dimension(name).isTime)
  const order = isTime ? places : [mostOf(measures), ...places]
  const counted = countedIn({ from, to, byDay: isUtc(timeZone) && !groupBy.includes('hour') })
  const { rows } = await sql<Record<string, unknown>>`
    select ${sql.join(columns)} from ${counted} o where ${sql.join([sql`true`, ...conditions], sql` and `)}
    ${groups.length === 0 ? sql`` : sql`group by ${sql.join(places)} order by ${sql.join(order)} limit ${limit + 1}`}
  `.execute(db)
  return rows.map((row) => rowOf(row, asked))
}

const isUtc = (timeZone: string): boolean => /^(?:Etc\/)?(?:UTC|GMT|Universal|Zulu)$/i.test(timeZone)

const SKETCH = '_sketches'

const columnsOf = (name: MeasureName): RawBuilder<unknown>[] => {
  const made = measure(name)
  if (!('distinct' in made)) return [sql`${sumOf(made)} as ${sql.ref(name)}`]
  const member = sql.ref(`o.${made.distinct}_member`)
  const sketch = sql.ref(`o.${made.distinct}_sketch`)
  return [
    sql`array_agg(distinct ${member}) filter (where ${member} is not null) as ${sql.ref(name)}`,
    sql`array_agg(${sketch}) filter (where ${sketch} is not null) as ${sql.ref(name + SKETCH)}`,
  ]
}

const sumOf = ({ add, subtract = [] }: { add: readonly string[]; subtract?: readonly string[] }): RawBuilder<unknown> =>
  sql.raw(`coalesce(sum(${[...add.map((one) => `+ o.${one}`), ...subtract.map((one) => `- o.${one}`)].join(' ')}), 0)`)

/** The largest first, by the first number; by how much there is where it is no sum. */
const mostOf = ([first]: readonly MeasureName[]): RawBuilder<unknown> => {
  const made = first && measure(first)
  return !made || 'distinct' in made ? sql`sum(o.invocations) desc` : sql`${sumOf(made)} desc`
}

const rowOf = (row: Record<string, unknown>, { measures, groupBy }: Asked): PullsRow => ({
  ...Object.fromEntries(groupBy.map((name) => [name, String(row[name])])),
  ...Object.fromEntries(
    measures.map((name) => [
      name,
      'distinct' in measure(name) ? distinctOf(row[name], row[name + SKETCH]) : Number(row[name]),
    ]),
  ),
})

/** Distinct members are estimated by the sketch that they would make, so that a number stays the same once they are gone. */
const distinctOf = (members: unknown, sketches: unknown): number => {
  const sketch = new HyperLogLog()
  for (const member of (members ?? []) as string[]) sketch.add(member)
  const others = ((sketches ?? []) as Uint8Array[]).map((bytes) => new HyperLogLog(bytes))
  return others.length === 0 ? sketch.count() : countUnion([sketch, ...others])
}

import { sql } from 'kysely'
import { clampedSum } from '../../storage/sql/clamped-sum.js'
import type { Sql } from '../../storage/sql/database.js'
import { HyperLogLog } from '../../storage/sketches/hyperloglog/hyperloglog.js'
import {
  COUNTED_NUMBERS,
  COUNTED_SKETCHES,
  MEMBERS,
  NUMBERS,
  DIMENSION_COLUMNS,
  READING_COLUMNS,
} from '../model/counted.js'
import { isInRange, type OutcomeRange, type RepositoryDay } from './repository-day.js'

const GROUP_COLUMNS = [...DIMENSION_COLUMNS, ...READING_COLUMNS]

/**
 * Adds rows to pulls.days: the sums and sketches of a range of outcomes, by the behaviour of their origins, too. If a day has several
 * ranges, its readers add up their rows.
 */
export const addDayRows = async (tx: Sql, of: RepositoryDay, range: OutcomeRange): Promise<void> => {
  const { registry, repository, day } = of
  const groupColumns = GROUP_COLUMNS.join(', ')
  const sums = COUNTED_NUMBERS.map((name) => sql`${clampedSum(sql.raw(NUMBERS[name]))} as ${sql.ref(name)}`)
  const members = COUNTED_SKETCHES.map((name) => {
    const member = MEMBERS[name]
    return `array_agg(distinct ${member} order by ${member}) filter (where ${member} is not null) as ${name}`
  }).join(', ')
  const { rows } = await sql<Record<string, unknown>>`
    select ${sql.raw(groupColumns)}, ${sql.join(sums)}, ${sql.raw(members)}
    from (
      select o.*, coalesce(b.behaviour, 'insufficient') as behaviour, coalesce(b.likely, 'unknown') as likely
      from pulls.outcomes o
        left join pulls.behaviours b
          on b.registry = ${registry} and b.day = ${day}::date and b.repository = ${repository} and b.origin = o.origin
      where ${isInRange(of, range)}
    ) o
    group by ${sql.raw(groupColumns)} order by ${sql.raw(groupColumns)}
  `.execute(tx)
  if (rows.length === 0) return
  const column = (name: string): unknown[] => rows.map((row) => row[name])
  const sketches = COUNTED_SKETCHES.map((name) => sql`${column(name).map(sketchOf)}::bytea[]`)
  await sql`
    insert into pulls.days (day, ${sql.raw(groupColumns)}, ${sql.raw(COUNTED_NUMBERS.join(', '))}, ${sql.raw(COUNTED_SKETCHES.join(', '))})
    select ${day}::date, * from unnest(
      ${sql.join([
        ...GROUP_COLUMNS.map((name) => sql`${column(name)}::${sql.raw(name === 'signed_in' ? 'boolean' : 'text')}[]`),
        ...COUNTED_NUMBERS.map((name) => sql`${column(name)}::bigint[]`),
        ...sketches,
      ])}
    )
  `.execute(tx)
}

/** A sketch in the format of Redis: the bytes that PFADD creates for these members in this order. */
const sketchOf = (members: unknown): Buffer => {
  const sketch = new HyperLogLog()
  for (const member of (members ?? []) as string[]) sketch.add(member)
  return Buffer.from(sketch.toBytes())
}

import { sql } from 'kysely'
import { isoTime, MICROS_PER_SECOND, type Micros } from '../../events/calendar.js'
import { clampedSum } from '../../storage/clamped-sum.js'
import type { Database, Sql } from '../../storage/database.js'
import { HyperLogLog } from '../../storage/hyperloglog/hyperloglog.js'
import { jobStep } from '../../storage/job-step.js'
import { LONGEST, longestBlobs } from '../fold/state.js'
import type { Windows } from '../fold/windows.js'
import { COUNTED_NUMBERS, COUNTED_SKETCHES, MEMBERS, NUMBERS, PLACES, READINGS } from '../read/counted.js'
import { addDays } from '../read/period.js'
import { readBehaviours, type RepositoryDay } from './behaviours.js'
import { eachRegistry } from './each-registry.js'

type Needs = { database: Database; windows: Windows }

/**
 * Rolls up the days that are over: whatever comes now, no invocation that began on them changes any more. What is rolled up
 * already is left alone; rolling a day up again ends in the same rows.
 * @throws AggregateError at the end, of registries that failed: theirs ends at that day, and is tried again at the next run
 */
export const rollUp = async ({ database, windows }: Needs): Promise<void> => {
  const { jobs } = database
  await eachRegistry(await daysToRoll(jobs, windows), async ({ registry, from, until }) => {
    for (let day = from; day < until;) {
      const repositories = await repositoriesOf(jobs, registry, day)
      const stretches = repositories.map((repository) => stretchOf(registry, repository, day))
      await eachRegistry(stretches, async (of) => jobStep({ sql: jobs }, async (tx) => rollUpDay(tx, of)))
      const days = { first: day, next: await nextDay(jobs, registry, { after: day, until }) }
      if (!(await jobStep({ sql: jobs }, async (tx) => setRolledTo(tx, registry, days)))) break
      day = days.next
    }
  })
}

/** Of the lock under which days are rolled up. */
const ROLLING = 7_231_506

/** Nobody else rolls up days until the transaction ends. */
export const lockDays = async (tx: Sql): Promise<void> => {
  await sql`select pg_advisory_xact_lock(${ROLLING})`.execute(tx)
}

/**
 * Days are told by their rows from now on, unless these lack an outcome that came from another name of the registry meanwhile, or
 * have one that was erased: then they are rolled up again at the next run. Each outcome is counted in one of four numbers.
 */
const setRolledTo = async (tx: Sql, registry: string, days: { first: string; next: string }): Promise<boolean> => {
  await sql`select from pulls.registries where registry = ${registry} for update`.execute(tx)
  const { rows } = await sql`
    update pulls.registries set rolled_to = greatest(rolled_to, ${days.next}::date)
    where registry = ${registry} and not exists (
      select repository, (at at time zone 'UTC')::date, count(*) from pulls.outcomes
      where registry = ${registry} and at >= ${start(days.first)}::timestamptz and at < ${start(days.next)}::timestamptz
      group by 1, 2
      except
      select repository, day, sum(invocations + artifact_fetches + orphan_blob_sessions + failed_requests)::bigint
      from pulls.days
      where registry = ${registry} and day >= ${days.first}::date and day < ${days.next}::date group by 1, 2
    )
    returning 1
  `.execute(tx)
  return rows.length > 0
}

/** How long after a moment nothing that comes changes an invocation that began before it. */
export const settledAfter = (windows: Windows): Micros =>
  Math.max(LONGEST + Math.max(windows.join, windows.blobs), longestBlobs(windows))

/** Of each registry the first day that is to be rolled up, and the first after them that is not over. */
const daysToRoll = async (db: Sql, windows: Windows): Promise<{ registry: string; from: string; until: string }[]> => {
  const { rows } = await sql<{ registry: string; from: string; until: string }>`
    select registry, first.day::text as from, until.day::text as until
    from pulls.registries r
      cross join lateral (
        select (min(at) at time zone 'UTC')::date as day from pulls.outcomes o
        where o.registry = r.registry
          and o.at >= case when isfinite(r.rolled_to) then r.rolled_to::timestamp at time zone 'UTC' else '-infinity' end
      ) first
      cross join lateral (
        select ((r.folded_to - ${settledAfter(windows) / MICROS_PER_SECOND} * interval '1 second') at time zone 'UTC')::date as day
      ) until
    where isfinite(r.folded_to) and first.day < until.day
    order by registry
  `.execute(db)
  return rows
}

/** The next day with an outcome, before another: one event of long ago is not to make a step for each day since. */
const nextDay = async (
  db: Sql,
  registry: string,
  { after, until }: { after: string; until: string },
): Promise<string> => {
  const { rows } = await sql<{ day: string | null }>`
    select (min(at) at time zone 'UTC')::date::text as day from pulls.outcomes
    where registry = ${registry} and at >= ${end(after)}::timestamptz and at < ${start(until)}::timestamptz
  `.execute(db)
  return rows[0]?.day ?? until
}

const repositoriesOf = async (db: Sql, registry: string, day: string): Promise<string[]> => {
  const { rows } = await sql<{ repository: string }>`
    select distinct repository from pulls.outcomes
    where registry = ${registry} and at >= ${start(day)}::timestamptz and at < ${end(day)}::timestamptz order by 1
  `.execute(db)
  return rows.map(({ repository }) => repository)
}

const start = (day: string): string => isoTime(Date.parse(day) * 1_000)
const end = (day: string): string => start(addDays(day, 1))

/** How an origin asks is read from the days that end with one. */
const LOOK_BACK_DAYS = 7

const stretchOf = (registry: string, repository: string, day: string): RepositoryDay => ({
  ...{ registry, repository, day },
  start: start(day),
  end: end(day),
  lookFrom: start(addDays(day, 1 - LOOK_BACK_DAYS)),
})

const TOLD_APART = [...PLACES, ...READINGS]

const rollUpDay = async (tx: Sql, of: RepositoryDay): Promise<void> => {
  const { registry, repository, day } = of
  await lockDays(tx)
  const { rows: open } = await sql`
    select 1 from pulls.registries where registry = ${registry} and rolled_to <= ${day}::date
  `.execute(tx)
  if (open.length === 0) return
  await readBehaviours(tx, of)
  const places = TOLD_APART.join(', ')
  const sums = COUNTED_NUMBERS.map((name) => sql`${clampedSum(sql.raw(NUMBERS[name]))} as ${sql.ref(name)}`)
  const members = COUNTED_SKETCHES.map((name) => {
    const member = MEMBERS[name]
    return `array_agg(distinct ${member} order by ${member}) filter (where ${member} is not null) as ${name}`
  }).join(', ')
  const { rows } = await sql<Record<string, unknown>>`
    select ${sql.raw(places)}, ${sql.join(sums)}, ${sql.raw(members)}
    from (
      select o.*, coalesce(b.behaviour, 'insufficient') as behaviour, coalesce(b.likely, 'unknown') as likely
      from pulls.outcomes o
        left join pulls.behaviours b
          on b.registry = ${registry} and b.day = ${day}::date and b.repository = ${repository} and b.origin = o.origin
      where o.registry = ${registry} and o.repository = ${repository}
        and o.at >= ${of.start}::timestamptz and o.at < ${of.end}::timestamptz
    ) o
    group by ${sql.raw(places)} order by ${sql.raw(places)}
  `.execute(tx)
  await sql`
    delete from pulls.days where registry = ${registry} and repository = ${repository} and day = ${day}::date
  `.execute(tx)
  const column = (name: string): unknown[] => rows.map((row) => row[name])
  const sketches = COUNTED_SKETCHES.map((name) => sql`${column(name).map(sketchOf)}::bytea[]`)
  await sql`
    insert into pulls.days (day, ${sql.raw(places)}, ${sql.raw(COUNTED_NUMBERS.join(', '))}, ${sql.raw(COUNTED_SKETCHES.join(', '))})
    select ${day}::date, * from unnest(
      ${sql.join([
        ...TOLD_APART.map((name) => sql`${column(name)}::${sql.raw(name === 'signed_in' ? 'boolean' : 'text')}[]`),
        ...COUNTED_NUMBERS.map((name) => sql`${column(name)}::bigint[]`),
        ...sketches,
      ])}
    )
  `.execute(tx)
}

/** In Redis's format: the bytes that PFADD makes of these members in this order. */
const sketchOf = (members: unknown): Buffer => {
  const sketch = new HyperLogLog()
  for (const member of (members ?? []) as string[]) sketch.add(member)
  return Buffer.from(sketch.toBytes())
}

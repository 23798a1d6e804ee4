import { sql } from 'kysely'
import type { Database, Sql } from '../../storage/sql/database.js'
import { jobStep } from '../../storage/sql/retried-transaction.js'
import { doStep, partOf, type StepSizes } from '../../storage/sql/step-sizes.js'
import { createPause } from '../../runtime/yield.js'
import { behaviourOf, MIN_INVOCATIONS, MAX_TIMES } from '../model/behaviour.js'
import { LOCAL_TOOL_IN_CLOUD } from '../model/local-tool.js'
import { insertReadings, type Reading } from './read-behaviours.js'
import { isInRange, nextRange, type OutcomeKey, type RepositoryDay } from './repository-day.js'
import { advanceRollingDay, END_OF_HASHES, lockRollingDay, type RollingDay } from './rolling-days.js'

/** What rolling up a day needs. */
export type RollUpDayDeps = {
  jobs: Database['jobs']
  /** Outcomes that a statement reads at most. */
  most: number
  /** What is remembered of origins at once while their readings are made (see readBehavioursInParts). */
  remembered?: number | undefined
  stepSizes: StepSizes
}

/** Times of invocations that are in memory at once, about; an origin weighs as much as ten of them. */
const REMEMBERED = 1_000_000
const WEIGHT_OF_ORIGIN = 10

/** What was read of an origin so far. */
type OriginTimes = {
  hash: number
  invocations: number
  /** The newest ones, in order. */
  times: number[]
  /** The first of the names that it asked for in their order, and the last. */
  names: { first: string; last: string } | undefined
  isLocalToolInCloud: boolean
  /** Whether it has an outcome on the day itself. */
  isOnDay: boolean
}

/** Origins with a hash from one up to, and without, another. */
type Hashes = { from: number; to: number }

/**
 * Reads how the origins of a large repository asked, as `readBehaviours` does: as many at a time as memory takes, in the order of
 * their hashes. Each part reads the outcomes of the week in portions, outside of any transaction, and is written in one of its own. It is
 * dropped if the day was restarted meanwhile: an origin whose outcomes were read may have been erased.
 */
export const readBehavioursInParts = async (
  deps: RollUpDayDeps,
  of: RepositoryDay,
  begun: RollingDay,
): Promise<void> => {
  let rolling = begun
  for (let width = END_OF_HASHES - begun.hashedTo; rolling.stage === 'behaviours';) {
    const from = rolling.hashedTo
    const { byOrigin, to } = await readPart(deps, of, { from, to: Math.min(END_OF_HASHES, from + width) })
    const next: RollingDay = { ...rolling, hashedTo: to, stage: to < END_OF_HASHES ? 'behaviours' : 'rows' }
    const readings = await readingsOf(byOrigin)
    const isWritten = await jobStep({ sql: deps.jobs }, async (tx) => {
      if (!(await lockRollingDay(tx, rolling))) return false
      for (let first = 0; first < readings.length; first += deps.most)
        await insertReadings(tx, of, readings.slice(first, first + deps.most))
      await advanceRollingDay(tx, next)
      return true
    })
    if (!isWritten) return
    // A part that is too wide is halved, so the width at most doubles.
    ;[rolling, width] = [next, 2 * (to - from)]
  }
}

/** Reads the week of as many origins as fit into memory. */
const readPart = async (
  { jobs, most, remembered = REMEMBERED, stepSizes }: RollUpDayDeps,
  of: RepositoryDay,
  hashes: Hashes,
): Promise<{ byOrigin: Map<string, OriginTimes>; to: number }> => {
  const byOrigin = new Map<string, OriginTimes>()
  const pause = createPause()
  let { to } = hashes
  for (let after: OutcomeKey | undefined, isLast = false; !isLast;) {
    const behind: OutcomeKey | undefined = after
    const page = await doStep(stepSizes, { kind: 'behaviours', size: most }, async (divisor) =>
      readPage(jobs, of, { after: behind, most: partOf(most, divisor), hashes: { ...hashes, to } }),
    )
    for (const row of page.rows) {
      add(byOrigin, row)
      await pause()
    }
    to = dropSome(byOrigin, { ...hashes, to }, remembered)
    ;[after, isLast] = [page.last, page.last === undefined]
  }
  return { byOrigin, to }
}

type Row = {
  origin: string
  hash: string
  invocations: string
  times: string | null
  first: string | null
  last: string | null
  local: boolean | null
  isOnDay: boolean
}

const readPage = async (
  db: Sql,
  of: RepositoryDay,
  { after, most, hashes }: { after: OutcomeKey | undefined; most: number; hashes: Hashes },
): Promise<{ rows: Row[]; last: OutcomeKey | undefined }> => {
  const range = await nextRange(db, of, { from: of.lookFrom, after, most })
  const { rows } = await sql<Row>`
    select origin, hash, max(at) >= ${of.start}::timestamptz as "isOnDay",
      count(*) filter (where is_invocation) as invocations,
      min(name) filter (where is_invocation) as first, max(name) filter (where is_invocation) as last,
      bool_or(local) filter (where is_invocation) as local,
      string_agg((extract(epoch from at) * 1000000)::bigint::text, ' ' order by at) filter (where is_invocation) as times
    from (
      select o.origin, hashtext(o.origin)::bigint as hash, o.at, coalesce(o.tag, o.digest) as name,
        ${LOCAL_TOOL_IN_CLOUD} as local, o.what = 'invocation' as is_invocation
      from pulls.outcomes o where ${isInRange(of, range)}
    ) o
    where hash >= ${hashes.from} and hash < ${hashes.to}
    group by origin, hash
  `.execute(db)
  return { rows, last: range.upTo }
}

/** Rows come in the order of their times. */
const add = (byOrigin: Map<string, OriginTimes>, row: Row): void => {
  const known = byOrigin.get(row.origin) ?? {
    ...{ hash: Number(row.hash), invocations: 0, times: [], names: undefined },
    ...{ isLocalToolInCloud: false, isOnDay: false },
  }
  const times = [...known.times, ...(row.times?.split(' ').map(Number) ?? [])].slice(-MAX_TIMES)
  const { first, last } = row
  const names = first === null || last === null ? [] : [first, last]
  const sorted = [...(known.names ? [known.names.first, known.names.last] : []), ...names].sort()
  const [least, greatest] = [sorted[0], sorted.at(-1)]
  byOrigin.set(row.origin, {
    ...{ hash: known.hash, times, invocations: known.invocations + Number(row.invocations) },
    names: least === undefined || greatest === undefined ? undefined : { first: least, last: greatest },
    isLocalToolInCloud: known.isLocalToolInCloud || row.local === true,
    isOnDay: known.isOnDay || row.isOnDay,
  })
}

/**
 * Drops the origins with the larger hashes if there are too many: they are read later.
 * @returns the first hash that was dropped
 */
const dropSome = (byOrigin: Map<string, OriginTimes>, { from, to }: Hashes, most: number): number => {
  let weight = 0
  for (const { times } of byOrigin.values()) weight += WEIGHT_OF_ORIGIN + times.length
  if (weight <= most || byOrigin.size <= 1 || to - from <= 1) return to
  const middle = from + Math.ceil((to - from) / 2)
  for (const [origin, { hash }] of byOrigin) if (hash >= middle) byOrigin.delete(origin)
  return dropSome(byOrigin, { from, to: middle }, most)
}

const readingsOf = async (byOrigin: Map<string, OriginTimes>): Promise<Reading[]> => {
  const readings: Reading[] = []
  const pause = createPause()
  for (const [origin, { invocations, times, names, isLocalToolInCloud, isOnDay }] of byOrigin) {
    if (!isOnDay || invocations < MIN_INVOCATIONS) continue
    // A reading does not depend on how many names there are, beyond two.
    const references = names === undefined ? 0 : names.first === names.last ? 1 : 2
    readings.push({ origin, ...behaviourOf({ times, references, isLocalToolInCloud }) })
    await pause()
  }
  return readings
}

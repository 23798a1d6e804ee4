import { sql } from 'kysely'
import type { Database, Sql } from '../../storage/sql/database.js'
import { jobStep } from '../../storage/sql/retried-transaction.js'
import { doStep, partOf, type StepSizes } from '../../storage/sql/step-sizes.js'
import { createPause } from '../../runtime/yield.js'
import { behaviourOf, FEWEST, MOST_TIMES } from '../model/behaviour.js'
import { LOCAL_TOOL_IN_CLOUD } from '../model/local-tool.js'
import { insertReadings, type Reading } from './behaviours.js'
import { isInRange, nextRange, type OutcomeKey, type RepositoryDay } from './repository-day.js'
import { advanceRollingDay, END_OF_HASHES, lockRollingDay, type RollingDay } from './rolling-days.js'

/** What rolling up a day needs. */
export type DayNeeds = {
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
type Asking = {
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
export const readBehavioursInParts = async (needs: DayNeeds, of: RepositoryDay, begun: RollingDay): Promise<void> => {
  let rolling = begun
  for (let width = END_OF_HASHES - begun.hashedTo; rolling.stage === 'behaviours';) {
    const from = rolling.hashedTo
    const { asking, to } = await readPart(needs, of, { from, to: Math.min(END_OF_HASHES, from + width) })
    const next: RollingDay = { ...rolling, hashedTo: to, stage: to < END_OF_HASHES ? 'behaviours' : 'rows' }
    const readings = await readingsOf(asking)
    const isWritten = await jobStep({ sql: needs.jobs }, async (tx) => {
      if (!(await lockRollingDay(tx, rolling))) return false
      for (let first = 0; first < readings.length; first += needs.most)
        await insertReadings(tx, of, readings.slice(first, first + needs.most))
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
  { jobs, most, remembered = REMEMBERED, stepSizes }: DayNeeds,
  of: RepositoryDay,
  hashes: Hashes,
): Promise<{ asking: Map<string, Asking>; to: number }> => {
  const asking = new Map<string, Asking>()
  const pause = createPause()
  let { to } = hashes
  for (let after: OutcomeKey | undefined, isLast = false; !isLast;) {
    const behind: OutcomeKey | undefined = after
    const page = await doStep(stepSizes, { kind: 'behaviours', size: most }, async (divisor) =>
      readPage(jobs, of, { after: behind, most: partOf(most, divisor), hashes: { ...hashes, to } }),
    )
    for (const row of page.rows) {
      add(asking, row)
      await pause()
    }
    to = dropSome(asking, { ...hashes, to }, remembered)
    ;[after, isLast] = [page.last, page.last === undefined]
  }
  return { asking, to }
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
const add = (asking: Map<string, Asking>, row: Row): void => {
  const known = asking.get(row.origin) ?? {
    ...{ hash: Number(row.hash), invocations: 0, times: [], names: undefined },
    ...{ isLocalToolInCloud: false, isOnDay: false },
  }
  const times = [...known.times, ...(row.times?.split(' ').map(Number) ?? [])].slice(-MOST_TIMES)
  const { first, last } = row
  const names = first === null || last === null ? [] : [first, last]
  const sorted = [...(known.names ? [known.names.first, known.names.last] : []), ...names].sort()
  const [least, greatest] = [sorted[0], sorted.at(-1)]
  asking.set(row.origin, {
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
const dropSome = (asking: Map<string, Asking>, { from, to }: Hashes, most: number): number => {
  let weight = 0
  for (const { times } of asking.values()) weight += WEIGHT_OF_ORIGIN + times.length
  if (weight <= most || asking.size <= 1 || to - from <= 1) return to
  const middle = from + Math.ceil((to - from) / 2)
  for (const [origin, { hash }] of asking) if (hash >= middle) asking.delete(origin)
  return dropSome(asking, { from, to: middle }, most)
}

const readingsOf = async (asking: Map<string, Asking>): Promise<Reading[]> => {
  const readings: Reading[] = []
  const pause = createPause()
  for (const [origin, { invocations, times, names, isLocalToolInCloud, isOnDay }] of asking) {
    if (!isOnDay || invocations < FEWEST) continue
    // A reading does not depend on how many names there are, beyond two.
    const references = names === undefined ? 0 : names.first === names.last ? 1 : 2
    readings.push({ origin, ...behaviourOf({ times, references, isLocalToolInCloud }) })
    await pause()
  }
  return readings
}

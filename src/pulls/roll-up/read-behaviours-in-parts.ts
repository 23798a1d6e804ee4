import { sql } from 'kysely'
import type { Database, Sql } from '../../storage/sql/database.js'
import { jobStep } from '../../storage/sql/retried-transaction.js'
import { doStep, partOf, type StepSizes } from '../../storage/sql/step-sizes.js'
import { epochMicros } from '../../storage/sql/moments.js'
import { createPause } from '../../runtime/yield.js'
import { behaviourOf, MIN_INVOCATIONS, MAX_TIMES } from '../model/behaviour.js'
import { LOCAL_TOOL_IN_CLOUD } from '../model/local-tool.js'
import { insertReadings, type Reading } from './read-behaviours.js'
import { isInRange, nextRange, type OutcomeKey, type RepositoryDay } from './repository-day.js'
import { advanceRollingDay, END_OF_HASHES, lockRollingDay, type RollingDay } from './rolling-days.js'

/** The dependencies and limits of rolling up a day. */
export type RollUpDayDeps = {
  jobs: Database['jobs']
  /** Maximum number of outcomes that a statement reads. */
  most: number
  /** Maximum weight of the origins in memory while their behaviour is read (see readBehavioursInParts). */
  remembered?: number | undefined
  stepSizes: StepSizes
}

/** Approximate maximum number of invocation times in memory; an origin weighs as much as ten times. */
const REMEMBERED = 1_000_000
const WEIGHT_OF_ORIGIN = 10

/** The outcomes of an origin that were read so far. */
type OriginTimes = {
  hash: number
  invocations: number
  /** The times of its newest invocations, in order. */
  times: number[]
  /** The first and the last of the requested tags and digests, in sort order. */
  names: { first: string; last: string } | undefined
  isLocalToolInCloud: boolean
  /** Whether the origin has an outcome on the day itself. */
  isOnDay: boolean
}

/** A range of hashes of origins: `from` is included, `to` is not. */
type Hashes = { from: number; to: number }

/**
 * Reads the behaviour of the origins of a large repository, like `readBehaviours`. The origins are divided into parts that fit into
 * memory, in the order of their hashes. A part reads the outcomes of the week in portions, outside of any transaction, and writes its
 * readings in one transaction. A part is dropped if the day was restarted meanwhile, because one of its origins may have been erased.
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
    // readPart narrows a part that is too wide, so the next part may try twice the width.
    ;[rolling, width] = [next, 2 * (to - from)]
  }
}

/** Reads the week of the origins with the first hashes, as many as fit into memory. */
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
      string_agg(${epochMicros(sql`at`)}::text, ' ' order by at) filter (where is_invocation) as times
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

/** Adds a row to its origin. Rows must come in the order of their times. */
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
 * If the origins exceed the maximum weight, drops the ones with the larger hashes; a later part reads them.
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
    // A reading depends only on whether the origin requested more than one name.
    const references = names === undefined ? 0 : names.first === names.last ? 1 : 2
    readings.push({ origin, ...behaviourOf({ times, references, isLocalToolInCloud }) })
    await pause()
  }
  return readings
}

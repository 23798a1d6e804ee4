import { sql } from 'kysely'
import type { Database, Sql } from '../../storage/sql/database.js'
import { jobStep } from '../../storage/sql/retried-transaction.js'
import { stateWithout } from '../day-fold/day-state.js'
import { awaitImports, type Erasure } from '../erasures/noted-erasures.js'
import { LOG_SOURCE } from '../segments/log-source.js'
import { eachSegmentOf, replaceSegment } from '../segments/segment-table.js'
import { mayHaveErased, withoutErased } from '../segments/without-erased.js'

type ErasedFromSegments = {
  /** Imported requests. */
  requests: number
  /** Outcomes of them. */
  invocations: number
}

type Day = { registry: string; day: string }

/**
 * Erases imported requests, and what the fold left of them, one day after the other. The other requests of such a day are folded again
 * by the next fold of days. An import at the same time stores no erased request: see `erasuresDuringImport`. A fold at the same time
 * has the lock of the registry, for which each step waits.
 */
export const eraseSegments = async (jobs: Database['jobs'], erasure: Erasure): Promise<ErasedFromSegments> => {
  await jobs.transaction().execute(awaitImports)
  const erased = { requests: 0, invocations: 0 }
  for (let day = await dayAfter(jobs, erasure); day; day = await dayAfter(jobs, erasure, day)) {
    const one = day
    const { requests, invocations } = await jobStep({ sql: jobs }, async (tx) => eraseDay(tx, one, erasure))
    erased.requests += requests
    erased.invocations += invocations
  }
  return erased
}

const dayAfter = async (db: Sql, { registries }: Erasure, last?: Day): Promise<Day | undefined> => {
  const { rows } = await sql<Day>`
    select registry, day::text as day from pulls.segment_days
    where ${registries ? sql`registry = any(${registries}::text[])` : sql`true`}
      and ${last ? sql`(registry, day) > (${last.registry}, ${last.day}::date)` : sql`true`}
    order by registry, pulls.segment_days.day limit 1
  `.execute(db)
  return rows[0]
}

/**
 * Erases from one day. The outcomes of the day are erased in the same transaction, so that no fold takes them from the totals: these
 * keep the numbers of an erased origin.
 */
const eraseDay = async (tx: Sql, { registry, day }: Day, erasure: Erasure): Promise<ErasedFromSegments> => {
  await sql`select from pulls.registries where registry = ${registry} for update`.execute(tx)
  let requests = 0
  let isChanged = false
  for await (const { number, read, ...texts } of eachSegmentOf(tx, day, [registry])) {
    if (!mayHaveErased(texts, erasure)) continue
    const segment = read()
    const rest = withoutErased(segment, erasure)
    if (rest === segment) continue
    requests += segment.length - rest.length
    isChanged = true
    await replaceSegment(tx, number, rest)
  }
  const { rows } = await sql<{ state: string | null }>`
    select state from pulls.segment_days where registry = ${registry} and day = ${day}::date
  `.execute(tx)
  const state = rows[0]?.state ?? null
  const rest = state === null ? null : stateWithout(state, erasure)
  if (!isChanged && rest === state) return { requests: 0, invocations: 0 }
  // If only the state has erased chains, no other result of the day depends on them.
  await sql`
    update pulls.segment_days set state = ${rest}, changes = changes + ${isChanged ? 1 : 0}
    where registry = ${registry} and day = ${day}::date
  `.execute(tx)
  const { origin, repository } = erasure
  const { numAffectedRows = 0n } = await sql`
    delete from pulls.outcomes where registry = ${registry} and source = ${LOG_SOURCE}
      and at >= ${`${day}T00:00:00Z`}::timestamptz and at < ${`${day}T00:00:00Z`}::timestamptz + interval '1 day'
      ${repository === undefined ? sql`` : sql`and repository = ${repository}`}
      ${origin === undefined ? sql`` : sql`and origin = ${origin}`}
  `.execute(tx)
  return { requests, invocations: Number(numAffectedRows) }
}

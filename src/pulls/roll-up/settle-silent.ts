import { sql, type RawBuilder } from 'kysely'
import { isoTime, microsOf, MICROS_PER_SECOND, type Micros } from '../../events/calendar.js'
import type { Database, Sql } from '../../storage/sql/database.js'
import { ROWS_AT_ONCE, repeatUntilEmpty } from '../../storage/sql/batched.js'
import { jobStep } from '../../storage/sql/retried-transaction.js'
import type { JoinWindows } from '../model/join-windows.js'
import { eachRegistry } from '../fold-job/each-registry.js'
import { oldestDay } from './expire-outcomes.js'
import { settledAfter } from './roll-up.js'

/** A registry that reported nothing newer for so long is silent: one that delivers a backlog pauses for less. */
const SILENCE: Micros = 12 * 3600 * MICROS_PER_SECOND

type SettleSilentDeps = {
  windows: JoinWindows
  /** How late a request may arrive, relative to the newest one of its registry, and still count. */
  lateness: Micros
  /** The retention of single invocations, in days. */
  days: number
  now: Date
}

/**
 * Settles registries that fell silent. The watermark follows the requests of a registry: without newer requests its last day would
 * never be rolled up, and its last invocations and chains would never be deleted.
 *
 * A registry is silent if it reported no newer request for 12 hours, or for the lateness if that is longer. Once the day of its newest
 * request exceeds the retention of single invocations, the end of its fold is set after that day, plus the hours in which a request may
 * still change an invocation of that day. If only earlier days are so old, the end is set in the same way after the last of them. Then
 * the roll-up finds these days over, and their invocations are deleted. Chains that no later request can continue are deleted here.
 *
 * A request up to the new end that arrives afterwards is late. This affects requests of at most about 30 hours, however long the
 * registry was silent. Later requests count as usual, whenever they arrive. The end is never within the last 12 hours.
 * @throws AggregateError at the end, of registries that failed
 */
export const settleSilent = async ({ jobs }: Pick<Database, 'jobs'>, deps: SettleSilentDeps): Promise<void> => {
  const { rows } = await sql<{ registry: string }>`
    select registry from pulls.registries r where ${isSilent(deps)} and (
      ${isToSettle(deps)} or exists (select from pulls.chains c where ${isOver} limit 1)
    )
    order by registry
  `.execute(jobs)
  await eachRegistry(rows, async ({ registry }) => {
    await repeatUntilEmpty(async () => jobStep({ sql: jobs }, async (tx) => settle(tx, registry, deps)))
  })
}

/** @returns how many chains were deleted; there may be more */
const settle = async (tx: Sql, registry: string, deps: SettleSilentDeps): Promise<number> => {
  // No process folds the registry until the transaction ends, so no closed chain is continued.
  const { rows } = await sql`
    select from pulls.registries r where registry = ${registry} and ${isSilent(deps)} for update skip locked
  `.execute(tx)
  if (rows.length === 0) return 0
  await sql`
    update pulls.registries r set folded_to = ${endOfFold(deps)} where registry = ${registry} and ${isToSettle(deps)}
  `.execute(tx)
  const { numAffectedRows } = await sql`
    delete from pulls.chains where ctid = any(array(
      select c.ctid from pulls.registries r join pulls.chains c on ${isOver}
      where r.registry = ${registry} limit ${ROWS_AT_ONCE}
    ))
  `.execute(tx)
  return Number(numAffectedRows ?? 0)
}

/** The end of the fold of a registry `r` after which all days beyond the retention are over, and their chains closed. */
const endOfFold = ({ windows, days, now }: SettleSilentDeps): RawBuilder<unknown> => sql`(
  least((r.newest_at at time zone 'UTC')::date + 1, ${oldestDay(days, now)}::date)::timestamp at time zone 'UTC'
  + ${Math.max(settledAfter(windows), windows.session) / MICROS_PER_SECOND} * interval '1 second'
)`

const isSilent = (deps: SettleSilentDeps): RawBuilder<unknown> =>
  sql`r.newest_since <= ${silentSince(deps)}::timestamptz`

/** Whether the fold has not reached the new end, and the new end makes no pending request late, and no request of the last hours. */
const isToSettle = (deps: SettleSilentDeps): RawBuilder<unknown> => {
  const end = endOfFold(deps)
  return sql`(
    ${end} > r.folded_to and ${end} <= ${silentSince(deps)}::timestamptz and not exists (
      select from pulls.pending p where p.registry = r.registry and p.at > r.folded_to and p.at <= ${end}
    )
  )`
}

const silentSince = ({ lateness, now }: SettleSilentDeps): string =>
  isoTime(microsOf(now) - Math.max(SILENCE, lateness))

/** Whether a chain `c` is closed: no request after the end of the fold can continue it. */
const isOver = sql`c.registry = r.registry and c.over_at < r.folded_to`

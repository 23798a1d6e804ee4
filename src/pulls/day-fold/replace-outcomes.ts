import { sql, type RawBuilder } from 'kysely'
import { isoTime, MICROS_PER_DAY, type Micros } from '../../events/calendar.js'
import { arrayText } from '../../storage/sql/array-text.js'
import type { Sql } from '../../storage/sql/database.js'
import type { Growth, Totals } from '../fold-job/totals.js'
import { LOG_SOURCE } from '../segments/log-source.js'
import type { HeldOutcome, OutcomeKey } from './fold-part.js'
import type { OutcomeTable } from './outcome-table.js'

/** Deletes the outcomes that began on a day, and subtracts their numbers. @param kept outcomes that stay for now */
export const deleteOutcomesOf = async (
  tx: Sql,
  { registry, start, kept, totals }: { registry: string; start: Micros; kept: readonly OutcomeKey[]; totals: Totals },
): Promise<void> =>
  deleteOutcomes(
    tx,
    { registry, totals },
    sql`source = ${LOG_SOURCE} and at >= ${isoTime(start)}::timestamptz and at < ${isoTime(start + MICROS_PER_DAY)}::timestamptz
      ${kept.length > 0 ? sql`and (repository, at, id) not in (select * from ${keysOf(kept)})` : sql``}`,
  )

/**
 * Writes the outcomes that were held back: those that are open at the end of the day, and those of earlier days that the day continued.
 * An open outcome may have grown on the next day: if the state for that day is the same as before, what that day wrote is right, and
 * stays.
 * @param kept stored outcomes of the day that were open in the state before
 * @returns the numbers of the outcomes
 */
export const writeHeld = async (
  tx: Sql,
  {
    registry,
    start,
    held,
    kept,
    isSame,
    totals,
    table,
  }: {
    registry: string
    start: Micros
    held: readonly HeldOutcome[]
    kept: readonly OutcomeKey[]
    isSame: boolean
    totals: Totals
    table: OutcomeTable
  },
): Promise<Growth[]> => {
  const written = isSame ? held.filter(({ isOpen, at }) => !isOpen || at < start) : held
  const continued = written.filter(({ at }) => at < start)
  const replaced = isSame ? continued : [...kept, ...continued]
  if (replaced.length > 0) {
    await deleteOutcomes(tx, { registry, totals }, sql`(repository, at, id) in (select * from ${keysOf(replaced)})`)
  }
  await table.copy(async (write) => {
    for (let from = 0; from < written.length; from += ROWS_AT_ONCE) {
      await write(Buffer.concat(written.slice(from, from + ROWS_AT_ONCE).map(({ row }) => row)))
    }
  })
  return written.flatMap(({ repository, isInvocation, isPull }) =>
    isInvocation ? [{ registry, repository, invocations: 1, pulls: isPull ? 1 : 0 }] : [],
  )
}

const ROWS_AT_ONCE = 2_000

const deleteOutcomes = async (
  tx: Sql,
  { registry, totals }: { registry: string; totals: Totals },
  condition: RawBuilder<unknown>,
): Promise<void> => {
  const { rows } = await sql<{ repository: string; invocations: number; pulls: number }>`
    with gone as (
      delete from pulls.outcomes where registry = ${registry} and ${condition} returning repository, what, gets
    )
    select repository, count(*)::int as invocations, count(*) filter (where gets > 0)::int as pulls
    from gone where what = 'invocation' group by repository
  `.execute(tx)
  for (const gone of rows) totals.subtract({ registry, ...gone })
}

const keysOf = (keys: readonly OutcomeKey[]): RawBuilder<unknown> => sql`unnest(
  ${arrayText(keys.map(({ repository }) => repository))}::text[], ${arrayText(keys.map(({ at }) => isoTime(at)))}::timestamptz[],
  ${arrayText(keys.map(({ id }) => id))}::text[]
)`

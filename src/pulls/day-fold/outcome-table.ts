import { sql } from 'kysely'
import { copyRows, type ProduceRows } from '../../storage/sql/copy-rows.js'
import type { Sql } from '../../storage/sql/database.js'
import { OUTCOME_COLUMNS } from '../fold-job/outcome-values.js'
import type { Growth } from '../fold-job/totals.js'

const COLUMNS = OUTCOME_COLUMNS.join(', ')

/** Where the outcomes of a day are written. */
export type OutcomeTable = {
  copy: (produce: ProduceRows) => Promise<void>
  /** @param written the numbers of the outcomes that were written @returns the numbers of those that are stored */
  end: (written: readonly Growth[]) => Promise<readonly Growth[]>
}

/** Writes outcomes without a check. The day fails with a duplicate key if two outcomes have one. */
export const directTable = (tx: Sql): OutcomeTable => ({
  copy: async (produce) => copyRows(tx, `pulls.outcomes (${COLUMNS})`, produce),
  end: async (written) => Promise.resolve(written),
})

/**
 * Stores one of the outcomes with one key, at the end, and always the same one. Two outcomes have one key if the hashes of two lines are
 * equal, which a client could try to cause.
 */
export const mergingTable = async (tx: Sql, registry: string): Promise<OutcomeTable> => {
  await sql`create temporary table day_outcomes (like pulls.outcomes including defaults) on commit drop`.execute(tx)
  return {
    copy: async (produce) => copyRows(tx, `day_outcomes (${COLUMNS})`, produce),
    end: async () => {
      const { rows } = await sql<{ repository: string; invocations: number; pulls: number }>`
        with written as (
          insert into pulls.outcomes (${sql.raw(COLUMNS)})
          select distinct on (registry, repository, at, id) ${sql.raw(COLUMNS)} from day_outcomes o
          order by registry, repository, at, id, o::text collate "C"
          returning repository, what, gets
        )
        select repository, count(*)::int as invocations, count(*) filter (where gets > 0)::int as pulls
        from written where what = 'invocation' group by repository
      `.execute(tx)
      return rows.map((one) => ({ registry, ...one }))
    },
  }
}

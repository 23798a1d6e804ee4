import { randomInt } from 'node:crypto'
import { sql, type RawBuilder } from 'kysely'
import { isDuplicateKey, type Database, type Sql } from '../../storage/sql/database.js'
import { jobStep } from '../../storage/sql/retried-transaction.js'
import { eachRegistry } from '../fold-job/each-registry.js'
import type { JoinWindows } from '../model/join-windows.js'
import type { ChangedDay } from './day-state.js'
import { foldDay } from './fold-day.js'
import type { PartitionOptions } from './partitions.js'

type FoldDaysDeps = {
  database: Pick<Database, 'jobs'>
  windows: JoinWindows
  partitions?: PartitionOptions
  /** Only days that were last changed before this moment: an import that is going on may change the others again. Default: all. */
  changedBefore?: Date
  /** Called after each day. */
  onFolded?: (day: { registry: string; day: string }) => void
}

/**
 * Folds the days that segments have changed, the earliest first, each in one transaction. A day that leaves another state than before
 * changes the next day, too. One process at a time folds the days of a registry; a second one waits.
 * @throws AggregateError at the end, of registries that failed; their days are tried again in the next run
 */
export const foldDays = async ({
  database,
  windows,
  partitions = { seed: randomInt(2 ** 32) },
  changedBefore,
  onFolded,
}: FoldDaysDeps): Promise<void> => {
  await eachRegistry(await changedRegistries(database.jobs, changedBefore), async ({ registry }) => {
    const fold = async (merges: boolean): Promise<ChangedDay | undefined> =>
      jobStep({ sql: database.jobs }, async (tx) => {
        await sql`select from pulls.registries where registry = ${registry} for update`.execute(tx)
        const changed = await firstChanged(tx, registry, changedBefore)
        if (changed) await foldDay(tx, changed, { windows, partitions, merges })
        return changed
      })
    const foldNext = async (): Promise<ChangedDay | undefined> =>
      fold(false).catch(async (error: unknown) => {
        if (!isDuplicateKey(error)) throw error
        return fold(true)
      })
    for (let folded = await foldNext(); folded; folded = await foldNext()) onFolded?.(folded)
  })
}

/** @param before `infinity` if undefined */
const isChanged = (before: Date | undefined): RawBuilder<unknown> =>
  sql`changes > folded_changes and changed_at < ${before ?? 'infinity'}::timestamptz`

const changedRegistries = async (db: Sql, before: Date | undefined): Promise<{ registry: string }[]> => {
  const { rows } = await sql<{ registry: string }>`
    select distinct registry from pulls.segment_days where ${isChanged(before)} order by registry
  `.execute(db)
  return rows
}

const firstChanged = async (tx: Sql, registry: string, before: Date | undefined): Promise<ChangedDay | undefined> => {
  const { rows } = await sql<{ day: string; changes: string }>`
    select day::text as day, changes::text as changes from pulls.segment_days
    where registry = ${registry} and ${isChanged(before)} order by day limit 1
  `.execute(tx)
  return rows.map(({ day, changes }) => ({ registry, day, changes }))[0]
}

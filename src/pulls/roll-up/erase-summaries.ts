import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { inSteps, ROWS_AT_ONCE } from '../../storage/sql/batched.js'
import { createInTurn } from '../../runtime/in-turn.js'
import { IN_SUMMARIES } from '../model/dimensions.js'

type ErasedRepository = { repository: string; registries?: readonly string[] | undefined }

/** The days and months whose summaries include a repository: each has a row for the repository. */
const summariesOf = ({ repository, registries }: ErasedRepository): RawBuilder<unknown> => sql`
  select registry, grain, start from pulls.summaries
  where registry = any(${registries === undefined ? sql`array(select registry from pulls.registries)` : sql`${registries}::text[]`})
    and dimension = 'repository' and value = ${repository}`

/**
 * Removes the marks of the days and months whose summaries include a repository. Queries read their detail until they are summarized
 * again. With PostgreSQL it waits for a running summary, so that the mark of that one is removed, too.
 */
export const unmarkSummaries = async (db: Sql, erased: ErasedRepository): Promise<void> => {
  await sql`
    delete from pulls.summarized s using (${summariesOf(erased)}) e
    where s.registry = e.registry and s.grain = e.grain and s.start = e.start
  `.execute(db)
}

/**
 * Runs one at a time: a summary in short statements, or a step of an erasure or a move of a registry. So no such step happens between
 * two statements of a summary, and row ids stay valid. A step waits for the running summary.
 */
export const runSummaryStep = createInTurn()

/** Deletes the summaries that include a repository which was erased from pulls.days, one day or month after the other, in steps. */
export const eraseSummaries = async (db: Sql, erased: ErasedRepository): Promise<void> =>
  runSummaryStep(async () => eraseNow(db, erased))

const eraseNow = async (db: Sql, erased: ErasedRepository): Promise<void> => {
  // Some days may have been summarized while the days of the repository were deleted.
  await unmarkSummaries(db, erased)
  const { rows } = await sql<{ registry: string; grain: string; start: string }>`
    select registry, grain, start::text as start from (${summariesOf(erased)}) e
  `.execute(db)
  for (const { registry, grain, start } of rows) {
    await inSteps(
      db,
      sql`delete from pulls.summaries where ctid = any(array(
        select ctid from pulls.summaries s
        where registry = ${registry} and dimension = any(${IN_SUMMARIES}::text[]) and grain = ${grain}
          and start = ${start}::date
          and not exists (
            select from pulls.summarized m where m.registry = s.registry and m.grain = s.grain and m.start = s.start
          )
        limit ${ROWS_AT_ONCE}
      ))`,
    )
  }
}

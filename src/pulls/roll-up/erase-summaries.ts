import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { inSteps, ROWS_AT_ONCE } from '../../storage/sql/batched.js'
import { createInTurn } from '../../runtime/in-turn.js'
import { IN_SUMMARIES } from '../model/dimensions.js'

type ErasedRepository = { repository: string; registries?: readonly string[] | undefined }

/** The days and months that hold something of a repository: each has a row of it. */
const summariesOf = ({ repository, registries }: ErasedRepository): RawBuilder<unknown> => sql`
  select registry, grain, start from pulls.summaries
  where registry = any(${registries === undefined ? sql`array(select registry from pulls.registries)` : sql`${registries}::text[]`})
    and dimension = 'repository' and value = ${repository}`

/**
 * Takes the marks off the days and months that hold something of a repository: they are answered from their detail, until they
 * are summarized again. With PostgreSQL it waits for a summary that is being made, so that its mark is seen, too.
 */
export const unmarkSummaries = async (db: Sql, erased: ErasedRepository): Promise<void> => {
  await sql`
    delete from pulls.summarized s using (${summariesOf(erased)}) e
    where s.registry = e.registry and s.grain = e.grain and s.start = e.start
  `.execute(db)
}

/**
 * Runs what must not happen between two statements of a summary that is made in steps: no erasure or move of a registry does, and row ids stay
 * valid. It waits for the summary under way.
 */
export const runSummaryStep = createInTurn()

/** Deletes what was summarized with a repository that is gone from pulls.days, day by day and in steps. */
export const eraseSummaries = async (db: Sql, erased: ErasedRepository): Promise<void> =>
  runSummaryStep(async () => eraseNow(db, erased))

const eraseNow = async (db: Sql, erased: ErasedRepository): Promise<void> => {
  // Some may have been summarized while its days were deleted.
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

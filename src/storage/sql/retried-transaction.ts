import { CompiledQuery } from 'kysely'
import { isConflict, type Database, type HotStatement, type Run, type Sql } from './database.js'

const CONFLICT_RETRIES = 3

/** A transaction for which nobody waits. */
export type Step = Sql & { run: Run }

/**
 * Runs one step of a job in a transaction of its own, on a connection without the short limit of what a registry waits for.
 * After a conflict it is tried again. A step locks rows that batches want, too, so it is to do a bounded amount of work.
 */
export const jobStep = async <T>(
  { sql: kysely }: Pick<Database, 'sql'>,
  work: (tx: Step) => Promise<T>,
  attempt = 0,
): Promise<T> => {
  try {
    return await kysely.transaction().execute(async (tx) => {
      const run = async <Row>({ text }: HotStatement, values: unknown[]): Promise<Row[]> =>
        (await tx.executeQuery<Row>(CompiledQuery.raw(text, values))).rows
      return work({ getExecutor: () => tx.getExecutor(), run })
    })
  } catch (error) {
    if (!isConflict(error) || attempt >= CONFLICT_RETRIES) throw error
    return jobStep({ sql: kysely }, work, attempt + 1)
  }
}

import { CompiledQuery } from 'kysely'
import type { Database, HotStatement, Run, Sql } from './database.js'
import { retryConflicts } from './retry-conflicts.js'

/** A transaction of a job. */
export type Step = Sql & { run: Run }

/**
 * Runs one step of a job in its own transaction, on a connection without the short time limit of requests of a registry. After a
 * conflict the step is retried. A step locks rows that batches also lock, so it must do a bounded amount of work.
 */
export const jobStep = async <T>({ sql: kysely }: Pick<Database, 'sql'>, work: (tx: Step) => Promise<T>): Promise<T> =>
  retryConflicts(async () =>
    kysely.transaction().execute(async (tx) => {
      const run = async <Row>({ text }: HotStatement, values: unknown[]): Promise<Row[]> =>
        (await tx.executeQuery<Row>(CompiledQuery.raw(text, values))).rows
      return work({ getExecutor: () => tx.getExecutor(), run })
    }),
  )

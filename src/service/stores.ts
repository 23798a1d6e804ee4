import type { Config } from '../config/config.js'
import type { Database } from '../storage/sql/database.js'
import type { EmbeddedDatabaseFailed } from '../storage/embedded/failure.js'
import { lockDirectory, type DirectoryLock } from '../storage/directory-lock.js'
import type { Dumps } from '../storage/embedded/dumps.js'
import { hasPendingMigrations, migrate } from '../schema/migrate.js'
import type { QueryCopy } from '../storage/sql/query-copy.js'
import type { SketchStore } from '../storage/sketches/sketch-store.js'
import type { RunningStatement } from '../storage/embedded/statement-limit.js'
import { createSqlSketches } from '../storage/sketches/sql-sketches.js'

/** The stores of the configuration, open and with a current schema. */
export type Stores = {
  database: Database
  sketches: SketchStore
  /** The lock of the data directory; only with the embedded database. */
  lock?: DirectoryLock
  /** The migrations that this process applied. */
  migrated: readonly string[]
  /** Why the embedded database executes no more statements. Only a new process can open it again. */
  failure: () => EmbeddedDatabaseFailed | undefined
  /** Is called once when the embedded database has failed. */
  onFailure: (then: (failure: EmbeddedDatabaseFailed) => void) => void
  /** The running statement of the embedded database. */
  statement?: RunningStatement | undefined
  /** The dumps of the embedded database. */
  dumps?: Dumps
  /** Limits the size of the embedded database's log. */
  checkpointIfDue?: () => Promise<boolean>
  /** Frees the space of updated and deleted rows in the embedded database. */
  vacuum?: () => Promise<unknown>
  /** Runs a statement of an operator on a copy of the embedded database. */
  queryCopy?: QueryCopy
  close: () => Promise<void>
}

/**
 * Opens PostgreSQL or the embedded database, and Redis or the table of sketches. Loads only the drivers that are needed, because
 * loading takes most of the time in which a command starts.
 * @param canEndStatements whether another thread can end a statement of the embedded database. Only for a database that stays
 * open as long as its process runs
 * @throws DirectoryInUse, DatabaseLost, EmbeddedDatabaseFailed, or the error of a server that does not answer
 */
export const openStores = async (config: Config, now: () => Date, canEndStatements = false): Promise<Stores> => {
  const opened =
    config.database_url === undefined
      ? await openEmbedded(config, now, canEndStatements)
      : await openServer(config.database_url)
  try {
    const sketches =
      config.redis_url === undefined ? createSqlSketches(opened.database) : await openRedis(config.redis_url)
    return {
      ...opened,
      sketches,
      close: async () => {
        await sketches.close()
        await opened.close()
      },
    }
  } catch (error) {
    await opened.close()
    throw error
  }
}

type Opened = Omit<Stores, 'sketches'>

const openServer = async (url: string): Promise<Opened> => {
  const { openPostgres, withoutTimeLimit } = await import('../storage/sql/postgres.js')
  const migrated = await withoutTimeLimit(url, migrate)
  const database = openPostgres(url)
  return { database, migrated, failure: () => undefined, onFailure: () => undefined, close: database.close }
}

const openEmbedded = async (config: Config, now: () => Date, canEndStatements: boolean): Promise<Opened> => {
  const lock = await lockDirectory(config.data_dir)
  try {
    const { openPglite } = await import('../storage/embedded/pglite.js')
    const { checkpointIfDue } = await import('../storage/embedded/checkpoint.js')
    const { vacuumTables } = await import('../storage/embedded/vacuum.js')
    const { createDumps } = await import('../storage/embedded/dumps.js')
    const { limitMarks, markLogIfPossible } = await import('../storage/sql/erasure-marks.js')
    const database = await openPglite(config.data_dir, { canEndStatements, isHeld: lock.isHeld, now })
    const open = async (): Promise<Opened> => {
      // A migration that rewrites tables leaves their previous rows in the log.
      if (await hasPendingMigrations(database.sql)) await markLogIfPossible(database.sql)
      const migrated = await migrate(database.sql)
      database.markInitialised()
      if (database.restoredAt) await limitMarks(database.sql, database.restoredAt)
      const dumps = createDumps(database, now)
      const close = async (): Promise<void> => {
        await database.close()
        lock.release()
      }
      const { failure, onFailure, queryCopy, statement } = database
      const checkpoint = async (): Promise<boolean> => checkpointIfDue(database.sql)
      const vacuum = async (): Promise<string[]> => vacuumTables(database.sql)
      const jobs = { checkpointIfDue: checkpoint, vacuum }
      return { database, lock, migrated, failure, onFailure, statement, dumps, ...jobs, queryCopy, close }
    }
    return await open().catch(async (error: unknown) => {
      await database.close()
      throw error
    })
  } catch (error) {
    lock.release()
    throw error
  }
}

const openRedis = async (url: string): Promise<SketchStore> => {
  const { connectRedis } = await import('../storage/sketches/redis-connection.js')
  const { createRedisSketches } = await import('../storage/sketches/redis-sketches.js')
  return createRedisSketches(connectRedis(url))
}

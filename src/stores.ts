import type { Config } from './config.js'
import type { Database } from './storage/database.js'
import type { EmbeddedDatabaseFailed } from './storage/embedded-failure.js'
import { lockDirectory, type DirectoryLock } from './storage/directory-lock.js'
import { migrate } from './storage/migrate.js'
import type { SketchStore } from './storage/sketch-store.js'
import { createSqlSketches } from './storage/sql-sketches.js'

/** The stores a configuration names, open and with their schema in place. */
export type Stores = {
  database: Database
  sketches: SketchStore
  /** The lock of the data directory, where the database is embedded. */
  lock?: DirectoryLock
  /** The migrations that were applied just now. */
  migrated: readonly string[]
  /** Why the embedded database executes nothing any more; a new process opens it again. */
  failure: () => EmbeddedDatabaseFailed | undefined
  /** Is called once when the embedded database has failed. */
  onFailure: (then: (failure: EmbeddedDatabaseFailed) => void) => void
  /** Writes a dump of the embedded database. */
  dump?: () => Promise<string>
  /** If there are dumps, writes a new one and removes all others, so that none contains what was erased. */
  replaceDumps?: () => Promise<void>
  close: () => Promise<void>
}

const DUMPS_KEPT = 3

/**
 * Opens PostgreSQL or the embedded database, and Redis or the table of sketches. The drivers are loaded only when needed:
 * that is most of the time a command takes to start.
 * @throws DirectoryInUse, DatabaseLost, EmbeddedDatabaseFailed, or the error of a server that does not answer.
 */
export const openStores = async (config: Config, now: () => Date): Promise<Stores> => {
  const opened =
    config.database_url === undefined ? await openEmbedded(config, now) : await openServer(config.database_url)
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
  const { openPostgres, unhurried } = await import('./storage/postgres.js')
  const migrated = await unhurried(url, migrate)
  const database = openPostgres(url)
  return { database, migrated, failure: () => undefined, onFailure: () => undefined, close: database.close }
}

const openEmbedded = async (config: Config, now: () => Date): Promise<Opened> => {
  const lock = await lockDirectory(config.data_dir)
  try {
    const { openPglite } = await import('./storage/pglite.js')
    const { discardLog, rewritePending } = await import('./storage/erase-traces.js')
    const database = await openPglite(config.data_dir)
    const open = async (): Promise<Opened> => {
      const migrated = await migrate(database.sql)
      database.markInitialised()
      let last: Promise<unknown> = Promise.resolve()
      // One after the other: a dump removes what an unfinished one left.
      const dump = async (): Promise<string> => {
        const dumping = last.then(async () => database.dump(`tallyman-${now().toISOString().slice(0, 10)}`, DUMPS_KEPT))
        last = dumping.catch(() => undefined)
        return dumping
      }
      const replaceDumps = async (): Promise<void> => {
        if (database.hasDumps()) database.removeDumpsBut(await dump())
      }
      // A migration that rewrote tables left the rows of before in the log.
      if (migrated.length > 0) await discardLog(database.sql)
      if ((await rewritePending(database.sql)).length > 0) await replaceDumps()
      const close = async (): Promise<void> => {
        await database.close()
        lock.release()
      }
      const { failure, onFailure } = database
      return { database, lock, migrated, failure, onFailure, dump, replaceDumps, close }
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
  const { connectRedis } = await import('./storage/redis-connection.js')
  const { createRedisSketches } = await import('./storage/redis-sketches.js')
  return createRedisSketches(connectRedis(url))
}

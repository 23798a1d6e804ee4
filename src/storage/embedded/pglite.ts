import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Kysely, PostgresDialect, sql } from 'kysely'
import { findDumps } from './dump-files.js'
import { copyCursorOf } from './copy-cursor.js'
import { duringBackupOn } from './backup.js'
import { LABEL, sizeOfFiles, writeDump } from './dump.js'
import { EmbeddedDatabaseFailed } from './failure.js'
import { embeddedFiles } from './files.js'
import { createDatabaseFiles } from './initdb.js'
import { EmbeddedInstance } from './instance.js'
import { createEmbeddedPool } from './pool.js'
import { eraseTracesOn } from '../sql/erase-traces.js'
import { freeBytes, hasSpaceIn, RESERVE_BYTES, type HasSpace } from '../../runtime/free-space.js'
import { createQueryCopy } from './query-copy.js'
import type { QueryCopy } from '../sql/query-copy.js'
import { NO_LOSSES } from '../sql/losses.js'
import { readOnlyOn } from '../sql/read-only.js'
import type { RunningStatement } from './statement-limit.js'
import { serverVersion, type Database } from '../sql/database.js'
import { runOn, transactionOn } from '../sql/pool-transactions.js'

export type EmbeddedDatabase = Database & {
  /** To be called after the schema was created: from then on, an empty database is reported as lost data. */
  markInitialised: () => void
  /** The running statement, if another thread can end statements. */
  statement: RunningStatement | undefined
  /** The reason why the database executes no more statements. */
  failure: () => EmbeddedDatabaseFailed | undefined
  /** Is called once when the database has failed: then every statement fails, until a new process opens the database. */
  onFailure: (then: (failure: EmbeddedDatabaseFailed) => void) => void
  /**
   * Writes the dump of a UTC day (a tar of the database directory) into `dumps/`, and removes all but the newest `keep`.
   * @returns the path of the dump
   */
  dump: (at: Date, keep: number) => Promise<string>
  /** Whether there are dumps, including unfinished ones. */
  hasDumps: () => boolean
  /** The paths of other files in the directory of dumps. They are never removed. */
  foreignFiles: () => string[]
  /**
   * Removes all dumps of states until a time, or without a time all dumps, except one file.
   * @param file the dump to keep, as `dump` returned it
   * @throws if `file` does not exist; then no dump is removed
   */
  removeDumpsBut: (file: string, until?: Date) => void
  /** @returns the path of the removed dump; undefined if there is no dump of a state until the time */
  removeOldestDump: (until?: Date) => string | undefined
  /** The time of the state that was restored from a dump before this process opened it. */
  restoredAt: Date | undefined
  /** The time of the state in the newest dump; null if there is none. */
  newestDumpAt: () => Date | null
  /** Whether the disk of the database has a number of bytes free. */
  hasSpace: HasSpace
  /** Runs a statement on a copy of the database. */
  queryCopy: QueryCopy
}

type Opening = {
  /** Whether another thread can end a statement. */
  canEndStatements?: boolean
  isHeld?: () => boolean
  now?: () => Date
}

/** The directory contained data once and is empty now. PGlite would silently create a new database. */
export class DatabaseLost extends Error {
  // Recognised by its name, so that other code need not load PGlite, which takes long.
  override readonly name = 'DatabaseLost'
}

/**
 * Opens the embedded PostgreSQL in `<directory>/db`. The caller must have the directory's lock.
 * PGlite has no fsync: a kill -9 loses no data, a power cut may.
 * @param options `now` shows which dumps were written while the clock was ahead; `isHeld`: whether the caller still has the lock. Without
 * the lock, the database fails before its next statement
 * @throws DatabaseLost, EmbeddedDatabaseFailed
 */
export const openPglite = async (
  directory: string,
  { canEndStatements = false, isHeld = () => true, now = () => new Date() }: Opening = {},
): Promise<EmbeddedDatabase> => {
  const { data, marker, dumps, scratch } = embeddedFiles(directory)
  const found = (): ReturnType<typeof findDumps> => findDumps(dumps, now())
  const dumpFiles = (): string[] => found().dumps.map((name) => join(dumps, name))
  const lost = (): DatabaseLost => databaseLost(data, marker, restoring(data, dumps, dumpFiles().at(-1)))
  if (existsSync(marker) && !existsSync(join(data, 'PG_VERSION'))) throw lost()
  const restoredAt = timeOf(join(data, LABEL))
  await prepareFiles(data)
  const pglite = new EmbeddedInstance(data, { canEndStatements, isHeld })
  const statement = await pglite.opened()
  const pool = createEmbeddedPool(pglite)
  const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool, cursor: copyCursorOf(pglite) }) })
  const duringBackup = duringBackupOn(async (statement) => pool.query(statement))
  // A dump takes up to twice the size of the database.
  let dumpBytes = 0
  const { queryCopy, close: closeQueryCopy } = createQueryCopy({
    ...{ data, scratch, duringBackup },
    reservedBytes: () => dumpBytes,
  })
  const close = async (): Promise<void> => {
    await closeQueryCopy()
    await kysely.destroy()
    await pglite.close()
  }
  if (existsSync(marker) && !(await hasTables(kysely))) {
    await close()
    throw lost()
  }
  const hasSpace = hasSpaceIn(data)
  return {
    engine: 'pglite',
    sql: kysely,
    jobs: kysely,
    transaction: transactionOn(pool),
    jobTransaction: transactionOn(pool),
    run: runOn(pool),
    losses: NO_LOSSES,
    readOnly: readOnlyOn(pool, 'keep', () => freeBytes(data) - RESERVE_BYTES),
    eraseTraces: eraseTracesOn(kysely, hasSpace),
    version: async () => serverVersion(kysely),
    statement,
    markInitialised: () => {
      writeFileSync(marker, '', { mode: 0o600 })
    },
    failure: () => pglite.failure,
    onFailure: (then) => {
      if (pglite.failure) then(pglite.failure)
      else pglite.onFailure = then
    },
    dump: async (at, keep) => {
      dumpBytes = 2 * sizeOfFiles(data)
      return writeDump({ data, dumps, duringBackup }, at, keep).finally(() => (dumpBytes = 0))
    },
    hasDumps: () => found().dumps.length + found().parts.length > 0,
    foreignFiles: () => found().foreign.map((name) => join(dumps, name)),
    restoredAt,
    removeDumpsBut: (file, until) => {
      if (!existsSync(file)) throw new Error(`${file} was removed by another program; older dumps stay`)
      // A dump of a later day was written while the clock was ahead: the time of its state is unknown.
      for (const dump of dumpFiles()) if (dump !== file && (dump > file || isUntil(dump, until))) rmSync(dump)
    },
    removeOldestDump: (until) => {
      const oldest = dumpFiles().find((dump) => isUntil(dump, until))
      if (oldest !== undefined) rmSync(oldest)
      return oldest
    },
    newestDumpAt: () => {
      const newest = dumpFiles().at(-1)
      return newest === undefined ? null : statSync(newest).mtime
    },
    hasSpace,
    queryCopy,
    close,
  }
}

const timeOf = (file: string): Date | undefined => statSync(file, { throwIfNoEntry: false })?.mtime

/** Whether the state in a dump is not later than a time. A restored file has its time in whole seconds. */
const isUntil = (dump: string, until: Date | undefined): boolean =>
  until === undefined || Math.floor(statSync(dump).mtimeMs / 1000) <= Math.floor(until.getTime() / 1000)

/** PGlite creates files that every user may read and write. So the directory gets a mode that keeps other users out. */
const prepareFiles = async (data: string): Promise<void> => {
  mkdirSync(data, { recursive: true, mode: 0o700 })
  try {
    chmodSync(data, 0o700)
  } catch {
    // The directory has another owner, who can enter in any case.
  }
  if (existsSync(join(data, 'PG_VERSION'))) return
  if (readdirSync(data).length > 0) {
    throw new EmbeddedDatabaseFailed(
      `${data} contains files but no database (PG_VERSION is missing): restore a dump, or move the directory to begin with an empty database`,
    )
  }
  await createDatabaseFiles(data)
}

const hasTables = async (kysely: Kysely<unknown>): Promise<boolean> => {
  const { rows } = await sql`select 1 from pg_tables where schemaname = 'public' limit 1`.execute(kysely)
  return rows.length > 0
}

const databaseLost = (data: string, marker: string, restoring: string): DatabaseLost =>
  new DatabaseLost(
    `the embedded database in ${data} is gone, although it contained data before; ${restoring}` +
      `or remove ${marker} to begin with an empty database`,
  )

const restoring = (data: string, dumps: string, newest: string | undefined): string => {
  if (newest === undefined) return `there is no dump in ${dumps}: restore a copy of the directory, `
  const aside = existsSync(data) ? [`mv '${data}' '${data}.lost'`] : []
  const commands = [...aside, `mkdir '${data}'`, `tar -xzf '${newest}' -C '${data}'`]
  return `restore the newest dump with\n  ${commands.join(' && ')}\n`
}

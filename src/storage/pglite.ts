import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { createPgConfig } from '@electric-sql/pglite/node-postgres'
import { Kysely, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import { embeddedFiles } from './embedded-files.js'
import { readOnlyOn } from './read-only.js'
import { createPause } from './turns.js'
import { runOn, serverVersion, surviveLostConnections, transactionOn, type Database } from './database.js'

export type EmbeddedDatabase = Database & {
  /** To be called when the schema is in place: from then on an empty database is refused as a loss. */
  markInitialised: () => void
  /** Writes a dump (a tar of the database directory) into `dumps/` and removes all but the newest `keep`. */
  dump: (name: string, keep: number) => Promise<string>
}

/** The directory held data once and is empty now. PGlite would silently begin anew. */
export class DatabaseLost extends Error {
  // Known by its name where PGlite, which takes long to load, is not needed otherwise.
  override readonly name = 'DatabaseLost'
}

/**
 * Opens the embedded PostgreSQL in `<directory>/db`. The caller holds the directory's lock.
 * PGlite has no fsync: a kill -9 loses nothing, a power cut may.
 * @throws DatabaseLost
 */
export const openPglite = async (directory: string): Promise<EmbeddedDatabase> => {
  const { data, marker, dumps } = embeddedFiles(directory)
  if (existsSync(marker) && !existsSync(join(data, 'PG_VERSION'))) throw lost(data, marker, dumps)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const pglite = await PGlite.create(data)
  letOthersIn(pglite)
  // One session, held for ever: the shim breaks when its client is thrown away and made anew.
  const pool = new pg.Pool(Object.assign({ max: 1, idleTimeoutMillis: 0 }, createPgConfig(pglite)))
  surviveLostConnections(pool)
  const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
  const close = async (): Promise<void> => {
    await kysely.destroy()
    await pglite.close()
  }
  if (existsSync(marker) && !(await hasTables(kysely))) {
    await close()
    throw lost(data, marker, dumps)
  }
  return {
    engine: 'pglite',
    sql: kysely,
    jobs: kysely,
    transaction: transactionOn(pool),
    jobTransaction: transactionOn(pool),
    run: runOn(pool),
    readOnly: readOnlyOn(pool, 'keep'),
    version: async () => serverVersion(kysely),
    markInitialised: () => {
      writeFileSync(marker, '', { mode: 0o600 })
    },
    dump: async (name, keep) => {
      mkdirSync(dumps, { recursive: true, mode: 0o700 })
      const blob = await pglite.dumpDataDir('gzip')
      const file = join(dumps, `${name}.tar.gz`)
      writeFileSync(`${file}.part`, Buffer.from(await blob.arrayBuffer()), { mode: 0o600 })
      renameSync(`${file}.part`, file)
      for (const old of dumpsIn(dumps).slice(0, -keep)) rmSync(join(dumps, old))
      return file
    },
    close,
  }
}

/** Milliseconds of statements that follow each other before the event loop turns. */
const LONGEST_WITHOUT_TURN_MS = 5

/**
 * PGlite answers in microtasks, so the statements of a job would follow each other without one turn of the event loop: no
 * request would be read until the job is done. All statements pass `execProtocolStream`, one at a time.
 */
const letOthersIn = (pglite: PGlite): void => {
  const execute = pglite.execProtocolStream.bind(pglite)
  const pause = createPause(LONGEST_WITHOUT_TURN_MS)
  pglite.execProtocolStream = async (...parameters) => {
    await pause()
    return execute(...parameters)
  }
}

const hasTables = async (kysely: Kysely<unknown>): Promise<boolean> => {
  const { rows } = await sql`select 1 from pg_tables where schemaname = 'public' limit 1`.execute(kysely)
  return rows.length > 0
}

const lost = (data: string, marker: string, dumps: string): DatabaseLost =>
  new DatabaseLost(
    `the embedded database in ${data} is gone, although it held data before; ${restoring(data, dumps)}` +
      `or remove ${marker} to begin with nothing`,
  )

const restoring = (data: string, dumps: string): string => {
  const newest = existsSync(dumps) ? dumpsIn(dumps).at(-1) : undefined
  if (newest === undefined) return `there is no dump in ${dumps}: put a copy of the directory back, `
  const aside = existsSync(data) ? [`mv '${data}' '${data}.lost'`] : []
  const commands = [...aside, `mkdir '${data}'`, `tar -xzf '${join(dumps, newest)}' -C '${data}'`]
  return `put the newest dump back with\n  ${commands.join(' && ')}\n`
}

/** The names of the dumps in a folder, the oldest first: each is named after its day. */
const dumpsIn = (dumps: string): string[] =>
  readdirSync(dumps)
    .filter((entry) => entry.endsWith('.tar.gz'))
    .sort()

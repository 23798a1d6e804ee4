import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { Database } from '../../src/storage/sql/database.js'
import { openPglite, type EmbeddedDatabase } from '../../src/storage/embedded/pglite.js'
import { openPostgres } from '../../src/storage/sql/postgres.js'
import { connectRedis } from '../../src/storage/sketches/redis-connection.js'
import { createRedisSketches } from '../../src/storage/sketches/redis-sketches.js'
import type { SketchStore } from '../../src/storage/sketches/sketch-store.js'
import { createSqlSketches } from '../../src/storage/sketches/sql-sketches.js'
import { eventually, temporaryFolder } from './process.js'
import { createDatabase, takeRedisDatabase } from './shared.js'

export type TestStores = {
  database: Database
  sketches: SketchStore
  /** Of the PostgreSQL server, where there is one. */
  url?: string
  /** Puts something under a key that is no sketch. */
  spoil: (key: string) => Promise<void>
  /** Empties all tables and sketches. */
  clear: () => Promise<void>
  close: () => Promise<void>
}

/** A data directory with an embedded database without rows, a copy of one that test/servers/start-shared.ts prepared. */
export const embeddedFolder = (template: 'migrated' | 'empty' = 'migrated'): ReturnType<typeof temporaryFolder> => {
  const folder = temporaryFolder('embedded')
  cpSync(join(process.env.TALLYMAN_TEST_TEMPLATES ?? '', template), folder.path, { recursive: true })
  return folder
}

/**
 * Answers a function that deletes all rows of all tables that are empty now, after the migrations. Others have rows that every
 * installation has.
 */
const tableCleaner = async (database: Database): Promise<() => Promise<void>> => {
  const { rows } = await sql<{ name: string }>`
    select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname not in ('pg_catalog', 'information_schema') and tablename not like 'kysely\\_%'
  `.execute(database.sql)
  const counts = rows.map(({ name }) => `select '${name}' as name where not exists (select from ${name})`)
  const { rows: empty } = await sql<{ name: string }>`${sql.raw(counts.join(' union all '))}`.execute(database.sql)
  // Deletes in one statement: the tables of a test are small, and truncating makes new files for each.
  const deletes = empty.map(({ name }, i) => `d${i} as (delete from ${name})`)
  return async () => {
    await sql`with ${sql.raw(deletes.join())} select`.execute(database.sql)
  }
}

export const spoilRow = async (database: Database, key: string): Promise<void> => {
  await sql`insert into sketches values (${key}, 'no sketch', now() + interval '1 day')`.execute(database.sql)
}

export const openEmbeddedStores = async (): Promise<TestStores & { database: EmbeddedDatabase }> => {
  const folder = embeddedFolder()
  const database = await openPglite(folder.path)
  const clearTables = await tableCleaner(database)
  let sketches = createSqlSketches(database)
  return {
    database,
    spoil: async (key) => spoilRow(database, key),
    get sketches() {
      return sketches
    },
    clear: async () => {
      await clearTables()
      sketches = createSqlSketches(database)
    },
    close: async () => {
      await database.close()
      folder.remove()
    },
  }
}

/** Databases of its own on the servers that suites share, as a service is configured with them. */
export const openServers = async (): Promise<{
  environment: { REDIS_URL: string; DATABASE_URL: string }
  close: () => Promise<void>
}> => {
  const [redis, { url, drop }] = await Promise.all([takeRedisDatabase(), createDatabase()])
  return { environment: { REDIS_URL: redis, DATABASE_URL: url }, close: drop }
}

export const openServerStores = async (): Promise<TestStores> => {
  const { environment, close } = await openServers()
  const database = openPostgres(environment.DATABASE_URL)
  // A machine that is busy may take longer for the first connection than a registry would wait.
  await eventually('the first connection', async () => database.version().then(() => true))
  const clearTables = await tableCleaner(database)
  const client = connectRedis(environment.REDIS_URL)
  const sketches = createRedisSketches(client)
  return {
    database,
    sketches,
    url: environment.DATABASE_URL,
    spoil: async (key) => {
      await client.set(key, 'no sketch')
    },
    clear: async () => {
      await clearTables()
      await client.flushdb()
      // Makes the process forget what it had put there.
      await database.transaction(async (tx) => sketches.replace('none', undefined, 1, tx))
    },
    close: async () => {
      await sketches.close()
      await database.close()
      await close()
    },
  }
}

/** Both pairs of stores, for suites that must hold on each. */
export const STORE_PAIRS: [string, () => Promise<TestStores>][] = [
  ['Redis and PostgreSQL', openServerStores],
  ['the embedded stores', openEmbeddedStores],
]

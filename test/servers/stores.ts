import { cpSync } from 'node:fs'
import { sql } from 'kysely'
import type { Database } from '../../src/storage/database.js'
import { migrate } from '../../src/storage/migrate.js'
import { openPglite, type EmbeddedDatabase } from '../../src/storage/pglite.js'
import { openPostgres } from '../../src/storage/postgres.js'
import { connectRedis } from '../../src/storage/redis-connection.js'
import { createRedisSketches } from '../../src/storage/redis-sketches.js'
import type { SketchStore } from '../../src/storage/sketch-store.js'
import { createSqlSketches } from '../../src/storage/sql-sketches.js'
import { startPostgres } from './postgres.js'
import { eventually, temporaryFolder } from './process.js'
import { startRedis } from './redis.js'

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

/** A data directory with an embedded database that is initialised and empty: a copy of the one made by global-setup. */
export const embeddedFolder = (): ReturnType<typeof temporaryFolder> => {
  const folder = temporaryFolder('embedded')
  cpSync(process.env.TALLYMAN_TEST_TEMPLATE ?? '', folder.path, { recursive: true })
  return folder
}

const TABLES = [
  'event_ids',
  'tallies',
  'rejected_events',
  'repositories',
  'stale_sketches',
  'sketches',
  'service_pings',
  'leases',
  'receptions',
  'installation',
  'unresolved_users',
  'inventory.repositories',
  'inventory.repository_manifests',
  'inventory.repository_blobs',
  'inventory.tags',
  'inventory.manifests',
  'inventory.manifest_blobs',
  'inventory.manifest_children',
  'inventory.changes',
  'inventory.reconciliations',
  'inventory.reconciled_repositories',
  'inventory.renames',
  'inventory.tag_lookups',
  'inventory.repository_totals',
  'inventory.totals',
  'inventory.orphaned_blobs',
  'inventory.missing_blobs',
  'inventory.most_tagged',
  'pulls.salts',
  'pulls.pending',
  'pulls.totals',
  'pulls.requests',
  'pulls.registries',
  'pulls.chains',
  'pulls.outcomes',
  'pulls.days',
  'pulls.behaviours',
  'pulls.windows',
  'pulls.summaries',
  'pulls.summarized',
]

/** By deletes in one statement: the tables of a test are small, and truncating makes new files for each. */
const clearTables = async (database: Database): Promise<void> => {
  const deletes = TABLES.map((table, i) => `d${i} as (delete from ${table})`)
  await sql`with ${sql.raw(deletes.join())} select`.execute(database.sql)
}

export const spoilRow = async (database: Database, key: string): Promise<void> => {
  await sql`insert into sketches values (${key}, 'no sketch', now() + interval '1 day')`.execute(database.sql)
}

export const openEmbeddedStores = async (): Promise<TestStores & { database: EmbeddedDatabase }> => {
  const folder = embeddedFolder()
  const database = await openPglite(folder.path)
  await migrate(database.sql)
  let sketches = createSqlSketches(database)
  return {
    database,
    spoil: async (key) => spoilRow(database, key),
    get sketches() {
      return sketches
    },
    clear: async () => {
      await clearTables(database)
      sketches = createSqlSketches(database)
    },
    close: async () => {
      await database.close()
      folder.remove()
    },
  }
}

export const openServerStores = async (): Promise<TestStores> => {
  const [postgres, redis] = await Promise.all([startPostgres({ isDurable: false }), startRedis(['--appendonly', 'no'])])
  const database = openPostgres(postgres.url)
  // A machine that is busy may take longer for the first connection than a registry would wait.
  await eventually('a migrated database', async () => migrate(database.sql).then(() => true))
  const client = connectRedis(redis.url)
  const sketches = createRedisSketches(client)
  return {
    database,
    sketches,
    url: postgres.url,
    spoil: async (key) => {
      await client.set(key, 'no sketch')
    },
    clear: async () => {
      await clearTables(database)
      await client.flushdb()
      // Makes the process forget what it had put there.
      await database.transaction(async (tx) => sketches.replace('none', undefined, 1, tx))
    },
    close: async () => {
      await sketches.close()
      await database.close()
      await Promise.all([postgres.stop(), redis.stop()])
    },
  }
}

/** Both pairs of stores, for suites that must hold on each. */
export const STORE_PAIRS: [string, () => Promise<TestStores>][] = [
  ['Redis and PostgreSQL', openServerStores],
  ['the embedded stores', openEmbeddedStores],
]

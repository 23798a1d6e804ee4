import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { migrate } from '../../src/schema/migrate.js'
import { openPglite } from '../../src/storage/embedded/pglite.js'
import { withoutTimeLimit } from '../../src/storage/sql/postgres.js'
import { startPostgres, type PostgresServer } from './postgres.js'
import { temporaryFolder } from './process.js'
import { startRedis, type RedisServer } from './redis.js'
import { REDIS_DATABASES } from './shared.js'

type Shared = { environment: Record<string, string>; stop: () => Promise<void> }

/**
 * Starts the servers that all suites of a run share, and prepares the databases that suites copy (test/servers/shared.ts,
 * test/servers/stores.ts).
 * @param cached where an empty embedded database is kept for the next run: its creation takes six seconds
 * @param areServersWanted false for a run of suites that use the embedded database at most
 */
export const startShared = async (cached: string, areServersWanted: boolean): Promise<Shared> => {
  const folder = temporaryFolder('templates')
  const [postgres, redis]: [PostgresServer?, RedisServer?] = areServersWanted
    ? await Promise.all([startServer(), startRedisServer()])
    : []
  // Keeps the process busy for seconds, which connections to the servers would not survive.
  await prepareEmbedded(folder.path, cached)
  return {
    environment: {
      ...(postgres && { TALLYMAN_TEST_POSTGRES: postgres.url }),
      ...(redis && { TALLYMAN_TEST_REDIS: redis.url }),
      TALLYMAN_TEST_TEMPLATES: folder.path,
    },
    stop: async () => {
      await Promise.all([postgres?.stop(), redis?.stop()])
      folder.remove()
    },
  }
}

const startServer = async (): Promise<PostgresServer> => {
  // Suites whose subject is durability start servers of their own.
  const postgres = await startPostgres({
    settings: ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'max_connections=300', 'autovacuum=off'],
  })
  await withoutTimeLimit(await postgres.database('migrated'), migrate)
  return postgres
}

// FLUSHALL would empty the databases of other suites.
const startRedisServer = async (): Promise<RedisServer> =>
  startRedis(['--appendonly', 'no', '--databases', String(REDIS_DATABASES), '--rename-command', 'FLUSHALL', ''])

const prepareEmbedded = async (folder: string, cached: string): Promise<void> => {
  if (!existsSync(cached)) await createEmbedded(cached)
  for (const template of ['empty', 'migrated']) cpSync(cached, join(folder, template), { recursive: true })
  const database = await openPglite(join(folder, 'migrated'))
  await migrate(database.sql)
  await database.close()
}

const createEmbedded = async (cached: string): Promise<void> => {
  const draft = `${cached}.${process.pid}`
  mkdirSync(dirname(cached), { recursive: true })
  await (await openPglite(draft)).close()
  try {
    renameSync(draft, cached)
  } catch {
    // Another run was faster.
    rmSync(draft, { recursive: true })
  }
}

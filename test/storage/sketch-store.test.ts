import { migrate } from '../../src/storage/migrate.js'
import { openPostgres } from '../../src/storage/postgres.js'
import { connectRedis } from '../../src/storage/redis-connection.js'
import { createRedisSketches } from '../../src/storage/redis-sketches.js'
import { createSqlSketches } from '../../src/storage/sql-sketches.js'
import { startPostgres } from '../servers/postgres.js'
import { startRedisCluster } from '../servers/redis-cluster.js'
import { startRedisSentinel } from '../servers/redis-sentinel.js'
import { openEmbeddedStores, openServerStores, spoilRow, type TestStores } from '../servers/stores.js'
import { sketchStoreContract } from './sketch-store.contract.js'

/** The server pair with sketches behind another URL. */
const openBehind = async (start: () => Promise<{ url: string; stop: () => Promise<void> }>): Promise<TestStores> => {
  const [server, postgres] = await Promise.all([start(), startPostgres()])
  const database = openPostgres(postgres.url)
  await migrate(database.sql)
  const client = connectRedis(server.url)
  const sketches = createRedisSketches(client)
  const keys = async (): Promise<string[]> => {
    const found = []
    for await (const { key } of sketches.entries('')) found.push(key)
    return found
  }
  return {
    database,
    sketches,
    spoil: async (key) => {
      await client.set(key, 'no sketch')
    },
    clear: async () => {
      for (const key of await keys()) await client.del(key)
      await client.del('{t}bad')
      await database.transaction(async (tx) => sketches.replace('none', undefined, 1, tx))
    },
    close: async () => {
      await sketches.close()
      await database.close()
      await Promise.all([server.stop(), postgres.stop()])
    },
  }
}

const openSqlOnServer = async (): Promise<TestStores> => {
  const postgres = await startPostgres()
  const database = openPostgres(postgres.url)
  await migrate(database.sql)
  let sketches = createSqlSketches(database)
  return {
    database,
    get sketches() {
      return sketches
    },
    spoil: async (key) => spoilRow(database, key),
    clear: async () => {
      await database.sql.deleteFrom('sketches' as never).execute()
      sketches = createSqlSketches(database)
    },
    close: async () => {
      await database.close()
      await postgres.stop()
    },
  }
}

sketchStoreContract('Redis', openServerStores)
sketchStoreContract('a Redis Cluster', async () => openBehind(startRedisCluster))
sketchStoreContract('Redis behind Sentinel', async () => openBehind(startRedisSentinel))
sketchStoreContract('a table of PostgreSQL', openSqlOnServer)
sketchStoreContract('a table of the embedded database', openEmbeddedStores)

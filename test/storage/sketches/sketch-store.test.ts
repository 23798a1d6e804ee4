import { openPostgres } from '../../../src/storage/sql/postgres.js'
import { connectRedis } from '../../../src/storage/sketches/redis-connection.js'
import { createRedisSketches } from '../../../src/storage/sketches/redis-sketches.js'
import { createSqlSketches } from '../../../src/storage/sketches/sql-sketches.js'
import { startRedisCluster } from '../../servers/redis-cluster.js'
import { startRedisSentinel } from '../../servers/redis-sentinel.js'
import { createDatabase } from '../../servers/shared.js'
import { openEmbeddedStores, openServerStores, spoilRow, type TestStores } from '../../servers/stores.js'
import { sketchStoreContract } from './sketch-store.contract.js'

/** The server pair with sketches behind another URL. */
const openBehind = async (start: () => Promise<{ url: string; stop: () => Promise<void> }>): Promise<TestStores> => {
  const [server, { url, drop }] = await Promise.all([start(), createDatabase()])
  const database = openPostgres(url)
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
      await Promise.all([server.stop(), drop()])
    },
  }
}

const openSqlOnServer = async (): Promise<TestStores> => {
  const { url, drop } = await createDatabase()
  const database = openPostgres(url)
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
      await drop()
    },
  }
}

sketchStoreContract('Redis', openServerStores)
sketchStoreContract('a Redis Cluster', async () => openBehind(startRedisCluster))
sketchStoreContract('Redis behind Sentinel', async () => openBehind(startRedisSentinel))
sketchStoreContract('a table of PostgreSQL', openSqlOnServer)
sketchStoreContract('a table of the embedded database', openEmbeddedStores)

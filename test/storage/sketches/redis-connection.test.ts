import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { connectRedis } from '../../../src/storage/sketches/redis-connection.js'
import { eventually } from '../../servers/process.js'
import { startRedis, type RedisServer } from '../../servers/redis.js'
import { startTcpProxy } from '../../servers/tcp-proxy.js'

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(async () => redis.stop())

test('a connection that carries nothing any more, without being closed, is replaced', async () => {
  const proxy = await startTcpProxy(redis.port)
  const client = connectRedis(`redis://127.0.0.1:${proxy.port}`)
  try {
    await client.ping()
    proxy.forgetConnections()
    await expect(client.ping()).rejects.toThrow(/timed out/)
    await eventually('it answers again', async () => client.ping().then(() => true))
    expect(proxy.connections()).toBe(2)
  } finally {
    client.disconnect()
    await proxy.stop()
  }
})

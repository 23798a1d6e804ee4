import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { eventually, freePort, startProcess, temporaryFolder } from './process.js'
import { startRedis, type RedisServer } from './redis.js'

/** A master, unless the test has one, and the sentinel that knows where it is. */
export const startRedisSentinel = async (
  existing?: RedisServer,
): Promise<{ port: number; url: string; stop: () => Promise<void> }> => {
  const master = existing ?? (await startRedis(['--appendonly', 'no']))
  const port = await freePort()
  const folder = temporaryFolder('sentinel')
  const file = join(folder.path, 'sentinel.conf')
  writeFileSync(file, `port ${port}\ndir ${folder.path}\nsentinel monitor main 127.0.0.1 ${master.port} 1\n`)
  const sentinel = startProcess('redis-server', [file, '--sentinel'])
  const client = new Redis(port, '127.0.0.1', { retryStrategy: () => 20 })
  client.on('error', () => undefined)
  await eventually('the sentinel answers', async () => client.ping().then(() => true))
  client.disconnect()
  return {
    port,
    url: `redis-sentinel://127.0.0.1:${port}/main`,
    stop: async () => {
      await sentinel.end('SIGKILL')
      if (!existing) await master.stop()
      folder.remove()
    },
  }
}

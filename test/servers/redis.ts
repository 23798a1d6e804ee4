import { Redis } from 'ioredis'
import { eventually, freePort, startProcess, temporaryFolder, type RunningProcess } from './process.js'

export type RedisServer = {
  port: number
  url: string
  pid: () => number
  /** kill -9. */
  kill: () => Promise<void>
  /** Starts it again on the same port and folder. */
  start: () => Promise<void>
  stop: () => Promise<void>
}

/** A private redis-server that keeps every write on disk before it answers (appendfsync always). */
export const startRedis = async (extra: string[] = []): Promise<RedisServer> => {
  const port = await freePort()
  const folder = temporaryFolder('redis')
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder.path, '--save', '']
  const durable = ['--appendonly', 'yes', '--appendfsync', 'always']
  let server: RunningProcess
  const start = async (): Promise<void> => {
    server = startProcess('redis-server', [...settings, ...durable, ...extra])
    const client = new Redis(port, '127.0.0.1', { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => 20 })
    client.on('error', () => undefined)
    try {
      await eventually('redis-server answers', async () => client.ping().then(() => true))
    } finally {
      client.disconnect()
    }
  }
  await start()
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    pid: () => server.child.pid ?? 0,
    kill: async () => {
      await server.end('SIGKILL')
    },
    start,
    stop: async () => {
      await server.end('SIGKILL')
      folder.remove()
    },
  }
}

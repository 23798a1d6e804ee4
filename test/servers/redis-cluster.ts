import { execFileSync } from 'node:child_process'
import { eventually } from './process.js'
import { startRedis } from './redis.js'

/** A real Redis Cluster of three masters. */
export const startRedisCluster = async (): Promise<{ url: string; stop: () => Promise<void> }> => {
  const settings = ['--appendonly', 'no', '--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf']
  const nodes = await Promise.all([1, 2, 3].map(async () => startRedis(settings)))
  const hosts = nodes.map(({ port }) => `127.0.0.1:${port}`)
  execFileSync('redis-cli', ['--cluster', 'create', ...hosts, '--cluster-yes'], { stdio: 'ignore' })
  await eventually('the cluster is whole', async () =>
    Promise.resolve(
      nodes.every(({ port }) =>
        execFileSync('redis-cli', ['-p', String(port), 'cluster', 'info'], { encoding: 'utf8' }).includes(
          'cluster_state:ok',
        ),
      ),
    ),
  )
  return {
    url: `redis-cluster://${hosts.join(',')}`,
    stop: async () => {
      await Promise.all(nodes.map(async ({ stop }) => stop()))
    },
  }
}

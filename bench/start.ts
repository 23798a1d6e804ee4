import { temporaryFolder } from '../test/servers/process.js'
import { startService } from '../test/servers/service.js'
import { sampleOf, type Row } from './sample.js'
import type { Servers } from './servers.js'

/** Seconds from the start of the process until /readyz answers 200. */
export const benchStart = async (servers: Servers, { rounds }: { rounds: number }): Promise<Row[]> => {
  const environment = { DATABASE_URL: await servers.postgres.database('bench_start'), REDIS_URL: servers.redis.url }
  const [onServers, first, later]: [number[], number[], number[]] = [[], [], []]
  const besideServers = temporaryFolder('bench')
  for (let round = 0; round < rounds; round++) {
    const folder = temporaryFolder('bench')
    onServers.push(await secondsToStart(besideServers.path, environment))
    first.push(await secondsToStart(folder.path))
    later.push(await secondsToStart(folder.path))
    folder.remove()
  }
  besideServers.remove()
  const row = (measured: string, seconds: number[], most: number): Row => ({
    measured,
    unit: 's until ready',
    sample: sampleOf(seconds),
    target: { most },
  })
  return [
    row('start on Redis + PostgreSQL', onServers, 1.5),
    row('first start, embedded', first, 8),
    row('later start, embedded', later, 2),
  ]
}

const secondsToStart = async (folder: string, environment: Record<string, string> = {}): Promise<number> => {
  const service = await startService(folder, environment)
  await service.process.end()
  return service.readyAfter / 1000
}

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { eventually, temporaryFolder } from '../test/servers/process.js'
import { ROOT, startService } from '../test/servers/service.js'
import { sampleOf, type Row } from './sample.js'
import { sendLoad, type Seen } from './servers.js'

const CONNECTIONS = 8
const LONGEST_SECONDS = 900

type Replay = Seen & { peak: number; dumpSeconds: number; databaseSize: number }

/** Notifications of three days to the embedded stores, as fast as they are answered, while all jobs run and a dump is written. */
export const benchEmbedded = async ({ rounds, requests }: { rounds: number; requests: number }): Promise<Row[]> => {
  const replays: Replay[] = []
  for (let round = 0; round < rounds; round++) replays.push(await replay(requests))
  const row = (measured: string, unit: string, pick: (replay: Replay) => number, most?: number): Row => ({
    measured: `embedded, ${requests} notifications of 3 days: ${measured}`,
    unit,
    sample: sampleOf(replays.map(pick)),
    ...(most !== undefined && { target: { most } }),
  })
  return [
    row('rate', 'events/s', ({ eventsPerSecond }) => eventsPerSecond),
    row('not answered 200', 'events', ({ failed }) => failed, 0),
    row('p50', 'ms', ({ p50 }) => p50),
    row('p99', 'ms', ({ p99 }) => p99),
    row('p99.9', 'ms', ({ p999 }) => p999, 300),
    row('slowest answer', 'ms', ({ worst }) => worst, 1_000),
    row('highest resident memory since the first start', 'MB', ({ peak }) => peak, 450),
    row('dump', 's', ({ dumpSeconds }) => dumpSeconds),
    row('database directory', 'MB', ({ databaseSize }) => databaseSize),
  ]
}

const replay = async (requests: number): Promise<Replay> => {
  const folder = temporaryFolder('bench')
  const service = await startService(folder.path, {}, [process.execPath, join(ROOT, 'dist', 'bench-service.js')])
  const { child, output } = service.process
  const port = Number(new URL(service.url).port)
  const load = { workload: 'mixed', connections: CONNECTIONS, keepAlive: true, events: 1 } as const
  let isOver = false
  const dumped = dumpInTheMiddle()
  async function dumpInTheMiddle(): Promise<number> {
    // Long enough for a roll-up, and for a database that is worth a dump.
    await eventually('days are rolled up', async () => Promise.resolve(isOver || output().includes('rolled up')))
    child.kill('SIGUSR2')
    await eventually('the dump is written', async () => Promise.resolve(/dumped in|dump failed/.test(output())), 600)
    return Number(/dumped in (\d+) ms/.exec(output())?.[1]) / 1000
  }
  try {
    const seen = await sendLoad(port, { ...load, requests, seconds: LONGEST_SECONDS })
    isOver = true
    const dumpSeconds = await dumped
    const databaseSize = sizeOf(join(folder.path, 'db')) / 1e6
    return { ...seen, dumpSeconds, databaseSize, peak: peakMegabytes(child.pid ?? 0) }
  } finally {
    await service.process.end()
    folder.remove()
  }
}

const peakMegabytes = (pid: number): number =>
  Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * (1024 / 1e6)

const sizeOf = (directory: string): number =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)

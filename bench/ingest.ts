import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from '../test/servers/process.js'
import { sampleOf, type Row } from './sample.js'
import {
  portOf,
  postgresLimit,
  query,
  redisLimit,
  sendLoad,
  startBareHandler,
  startEmbedded,
  startOnServers,
  startServers,
  type Load,
  type Pair,
  type Seen,
} from './servers.js'

type Scenario = Omit<Load, 'workload' | 'requests' | 'seconds'> & { name: string; target: number; p99?: number }

const SCENARIOS: Scenario[] = [
  {
    name: '1 connection, a new one for each event',
    connections: 1,
    keepAlive: false,
    events: 1,
    target: 1_050,
    p99: 10,
  },
  { name: '8 connections, a new one for each event', connections: 8, keepAlive: false, events: 1, target: 6_000 },
  { name: '8 connections, kept open', connections: 8, keepAlive: true, events: 1, target: 6_000 },
  { name: '32 connections, kept open, 10 events a POST', connections: 32, keepAlive: true, events: 10, target: 30_000 },
]

/** More than can be sent in the time. */
const REQUESTS_PER_SECOND = { one: 9_000, ten: 6_000 }
const WARM_UP_SECONDS = 2

type Settings = { rounds: number; seconds: number }

/** Events stored a second, over the webhook, beside what a handler that stores nothing answers in the same minute. */
export const benchIngest = async ({ rounds, seconds }: Settings): Promise<Row[]> => {
  const servers = await startServers()
  const bare = await startBareHandler()
  const pairs = [await startOnServers(servers), await startEmbedded()]
  try {
    const rows = [...(await limitsOfStores(servers, rounds))]
    const stored = new Map<Pair, number>()
    const send = async (pair: Pair, scenario: Scenario, duration: number): Promise<Seen> => {
      const seen = await sendLoad(portOf(pair), loadOf(scenario, duration))
      if (seen.failed > 0) throw new Error(`${seen.failed} notifications were not answered 200`)
      stored.set(pair, (stored.get(pair) ?? 0) + seen.stored)
      return seen
    }
    for (const pair of pairs) for (const scenario of SCENARIOS) await send(pair, scenario, WARM_UP_SECONDS)
    for (const scenario of SCENARIOS) {
      const bares: number[] = []
      const seens = new Map<Pair, Seen[]>(pairs.map((pair) => [pair, []]))
      // Side by side, round by round: the machine is shared, and what it has to give changes by the minute.
      for (let round = 0; round < rounds; round++) {
        progress(`${scenario.name}, round ${round + 1} of ${rounds}`)
        bares.push((await sendLoad(bare.port, loadOf({ ...scenario }, seconds))).eventsPerSecond)
        for (const pair of pairs) seens.get(pair)?.push(await send(pair, scenario, seconds))
      }
      for (const pair of pairs) rows.push(...rowsOf(scenario, pair, seens.get(pair) ?? [], bares))
    }
    for (const pair of pairs) {
      const [answered, found] = [stored.get(pair) ?? 0, await pair.countStored()]
      if (answered !== found) throw new Error(`${pair.name}: ${answered} events answered, ${found} in the database`)
      console.error(`${pair.name}: all ${found} events that were answered are in the database`)
    }
    return rows
  } finally {
    await Promise.all([...pairs.map(async (pair) => pair.stop()), bare.stop()])
    await servers.stop()
  }
}

const loadOf = ({ connections, keepAlive, events }: Scenario, seconds: number): Load => ({
  workload: 'push-tag',
  connections,
  keepAlive,
  events,
  seconds,
  requests: seconds * (events === 1 ? REQUESTS_PER_SECOND.one : REQUESTS_PER_SECOND.ten),
})

const rowsOf = (scenario: Scenario, pair: Pair, seens: readonly Seen[], bares: readonly number[]): Row[] => {
  const share = pair.name === 'embedded' ? 0.5 : 1
  const rate: Row = {
    measured: `${pair.name}: ${scenario.name}`,
    unit: 'events/s stored',
    sample: sampleOf(seens.map(({ eventsPerSecond }) => eventsPerSecond)),
    target: { least: scenario.target * share },
    limit: {
      what: 'of a bare node:http handler',
      ratio: sampleOf(seens.map(({ eventsPerSecond }, i) => eventsPerSecond / (bares[i] ?? NaN))),
    },
    note: `bare handler ${Math.round(sampleOf(bares).median)}/s`,
  }
  const p99: Row = {
    measured: `${pair.name}: ${scenario.name}, p99`,
    unit: 'ms',
    sample: sampleOf(seens.map((seen) => seen.p99)),
    ...(scenario.p99 !== undefined && { target: { most: scenario.p99 } }),
  }
  return [rate, p99]
}

/** What the stores alone can take from clients that wait for each answer. */
const limitsOfStores = async (servers: Awaited<ReturnType<typeof startServers>>, rounds: number): Promise<Row[]> => {
  const folder = temporaryFolder('pgbench')
  const script = join(folder.path, 'one-row.sql')
  writeFileSync(script, 'insert into limits values (gen_random_uuid());')
  await query(servers.postgres.url, 'create table limits (id uuid primary key)')
  const rows: Row[] = []
  for (const connections of [1, 8]) {
    const [redis, postgres]: [number[], number[]] = [[], []]
    for (let round = 0; round < rounds; round++) {
      progress(`limits of the stores, ${connections} connections, round ${round + 1} of ${rounds}`)
      redis.push(await redisLimit(servers, connections))
      postgres.push(await postgresLimit(servers, script, connections, 2))
    }
    rows.push({
      measured: `limit: redis-benchmark, PFADD, ${connections} connections`,
      unit: 'commands/s',
      sample: sampleOf(redis),
    })
    rows.push({
      measured: `limit: pgbench, one row a commit, ${connections} connections`,
      unit: 'commits/s',
      sample: sampleOf(postgres),
    })
  }
  folder.remove()
  return rows
}

const progress = (text: string): void => {
  console.error(`  ${text} …`)
}

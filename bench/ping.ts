import { randomUUID } from 'node:crypto'
import { keysForTimeFrame } from '../src/counters/read.js'
import { microsOf } from '../src/events/calendar.js'
import type { MetricDefinition } from '../src/metrics/definition.js'
import { createKinds } from '../src/metrics/kinds.js'
import { buildPing } from '../src/ping/payload.js'
import type { Database } from '../src/storage/sql/database.js'
import { migrate } from '../src/schema/migrate.js'
import { openPglite } from '../src/storage/embedded/pglite.js'
import { openPostgres } from '../src/storage/sql/postgres.js'
import { connectRedis } from '../src/storage/sketches/redis-connection.js'
import { createRedisSketches } from '../src/storage/sketches/redis-sketches.js'
import type { SketchStore } from '../src/storage/sketches/sketch-store.js'
import { createSqlSketches } from '../src/storage/sketches/sql-sketches.js'
import { temporaryFolder } from '../test/servers/process.js'
import { sampleOf, type Row } from './sample.js'
import type { Servers } from './servers.js'

const DEFINITIONS = 1_000
const MEMBERS = 500
const NOW = new Date('2026-11-23T09:00:00Z')
const now = (): Date => NOW

/** A ping of 1,000 unique counts, half of them of one week and half of four, each sketch with 500 members. */
export const benchPing = async (servers: Servers, { rounds }: { rounds: number }): Promise<Row[]> => {
  const postgres = openPostgres(await servers.postgres.database('bench_ping'))
  const folder = temporaryFolder('bench')
  const pglite = await openPglite(folder.path)
  const redis = createRedisSketches(connectRedis(servers.redis.url))
  try {
    return [
      ...(await measure('Redis + PostgreSQL', postgres, redis, rounds)),
      ...(await measure('embedded', pglite, createSqlSketches(pglite), rounds)),
    ]
  } finally {
    await redis.close()
    await Promise.all([postgres.close(), pglite.close()])
    folder.remove()
  }
}

const measure = async (name: string, database: Database, sketches: SketchStore, rounds: number): Promise<Row[]> => {
  await migrate(database.sql)
  await fill(database, sketches)
  let asked = 0
  const counted: SketchStore = {
    ...sketches,
    count: async (unions) => {
      asked++
      return sketches.count(unions)
    },
  }
  const kinds = createKinds({
    database,
    sketches: counted,
    countPulls: async () => Promise.resolve(0),
    systemValues: {},
    settingValues: {},
    now,
  })
  const [times, trips]: [number[], number[]] = [[], []]
  for (let round = 0; round <= rounds; round++) {
    asked = 0
    const start = performance.now()
    const needs = { definitions, kinds, uuid: randomUUID(), categories: new Set(['optional'] as const), now }
    const { payload } = await buildPing(needs)
    if (round > 0) times.push(performance.now() - start)
    trips.push(asked)
    verify(payload.bench as Record<string, number>)
  }
  return [
    {
      measured: `${name}: a ping of ${DEFINITIONS} redis_hll definitions`,
      unit: 'ms',
      sample: sampleOf(times),
      target: { most: 200 },
    },
    {
      measured: `${name}: reads of the sketch store for it`,
      unit: 'round trips',
      sample: sampleOf(trips),
      target: { most: 3 },
    },
  ]
}

const eventOf = (i: number): string => `bench_event_${i}`
const timeFrameOf = (i: number): '7d' | '28d' => (i % 2 === 0 ? '7d' : '28d')

const definitions: MetricDefinition[] = Array.from({ length: DEFINITIONS }, (_, i) => ({
  key_path: `bench.${eventOf(i)}`,
  description: 'a benchmark',
  value_type: 'number',
  status: 'active',
  time_frame: timeFrameOf(i),
  data_source: 'redis_hll',
  data_category: 'optional',
  milestone: '0.1',
  options: { events: [eventOf(i)] },
}))

const fill = async (database: Database, sketches: SketchStore): Promise<void> => {
  const members = new Set(Array.from({ length: MEMBERS }, (_, i) => `member-${i}`))
  for (let i = 0; i < DEFINITIONS; i++) {
    const keys = keysForTimeFrame([eventOf(i)], timeFrameOf(i), microsOf(NOW))
    const additions = keys.map((key) => ({ key, members, seconds: 86_400 }))
    await database.transaction(async (tx) => sketches.add(additions, tx))
  }
}

/** A ping of failures would be fast. */
const verify = (values: Record<string, number>): void => {
  const wrong = Object.values(values).filter((value) => Math.abs(value - MEMBERS) > MEMBERS * 0.05)
  if (Object.keys(values).length !== DEFINITIONS || wrong.length > 0) throw new Error('the ping has wrong numbers')
}

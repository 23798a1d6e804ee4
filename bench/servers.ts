import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { postgresProgram, startPostgres, type PostgresServer } from '../test/servers/postgres.js'
import { eventually, startProcess, temporaryFolder } from '../test/servers/process.js'
import { startRedis, type RedisServer } from '../test/servers/redis.js'
import type { Workload } from './notifications.js'
import { NOTIFICATION_TOKEN, ROOT, startService, type Service } from '../test/servers/service.js'

const run = promisify(execFile)

export type Pair = {
  name: 'Redis + PostgreSQL' | 'embedded'
  service: Service
  /** Ends the service. */
  stop: () => Promise<void>
  /** The distinct events that the database holds. */
  countStored: () => Promise<number>
}

export type Servers = { redis: RedisServer; postgres: PostgresServer; stop: () => Promise<void> }

/** Its append-only file is written every second, and it has enough databases. */
export const BENCH_REDIS = ['--appendfsync', 'everysec', '--databases', '1024'] as const

/** PostgreSQL with fsync, Redis with its append-only file written every second, which is its default. */
export const startServers = async (): Promise<Servers> => {
  const [redis, postgres] = await Promise.all([startRedis([...BENCH_REDIS]), startPostgres()])
  return {
    redis,
    postgres,
    stop: async () => {
      await Promise.all([redis.stop(), postgres.stop()])
    },
  }
}

/** Asks a PostgreSQL database one thing, beside the service. */
export const query = async <Row extends pg.QueryResultRow>(url: string, text: string): Promise<Row[]> => {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return (await client.query<Row>(text)).rows
  } finally {
    await client.end()
  }
}

const stopService = async (service: Service, folder: ReturnType<typeof temporaryFolder>): Promise<void> => {
  await service.process.end()
  folder.remove()
}

let databases = 0
/** The same for every service, as a database is only opened with the key that it was filled with. */
const USERS_KEY = 'a key of the benchmarks, which is long enough'

/** A service on an empty database of the servers. */
export const startOnServers = async (servers: Servers): Promise<Pair & { database: string }> =>
  startOnDatabase(servers, await servers.postgres.database(`bench_${databases++}`))

const redisDatabases = new Map<string, number>()

/** Redis belongs to one installation, so each database has a number of its own; 0 is the start's. */
const redisNumberFor = (database: string): number => {
  const number = redisDatabases.get(database) ?? redisDatabases.size + 1
  redisDatabases.set(database, number)
  return number
}

/** A service on a database that may hold something. */
export const startOnDatabase = async (
  { redis }: Pick<Servers, 'redis'>,
  database: string,
): Promise<Pair & { database: string }> => {
  const folder = temporaryFolder('bench')
  const REDIS_URL = `${redis.url}/${redisNumberFor(database)}`
  const environment = { DATABASE_URL: database, REDIS_URL, TALLYMAN_USERS_KEY: USERS_KEY }
  const service = await startService(folder.path, environment)
  return {
    name: 'Redis + PostgreSQL',
    database,
    service,
    stop: async () => stopService(service, folder),
    countStored: async () => {
      const [row] = await query<{ count: string }>(database, 'select count(*) from event_ids')
      return Number(row?.count)
    },
  }
}

/** A service on an empty folder. */
export const startEmbedded = async (): Promise<Pair> => {
  const folder = temporaryFolder('bench')
  const service = await startService(folder.path)
  return {
    name: 'embedded',
    service,
    stop: async () => stopService(service, folder),
    countStored: async () => {
      // One process at a time may have it open.
      await service.process.end()
      const { PGlite } = await import('@electric-sql/pglite')
      const pglite = await PGlite.create(join(folder.path, 'db'))
      const { rows } = await pglite.query<{ count: number }>('select count(*)::int as count from event_ids')
      await pglite.close()
      return rows[0]?.count ?? NaN
    },
  }
}

/** A server that does nothing but answer: its port, and its end. */
export const startBareHandler = async (): Promise<{ port: number; stop: () => Promise<unknown> }> => {
  const server = startProcess(process.execPath, [join(ROOT, 'dist', 'bench', 'bare-server.js')])
  let port = 0
  await eventually('the bare handler listens', async () => {
    port = Number(/listens on (\d+)/.exec(server.output())?.[1] ?? 0)
    return Promise.resolve(port > 0)
  })
  return { port, stop: async () => server.end() }
}

export type Load = {
  workload: Workload | 'mixed'
  /** A file with the places that events are about; else a hundred. */
  places?: string
  connections: number
  keepAlive: boolean
  /** In one envelope. */
  events: number
  requests: number
  seconds: number
}
/** Latencies are in milliseconds. */
export type Seen = Record<'stored' | 'failed' | 'eventsPerSecond' | 'p50' | 'p99' | 'p999' | 'worst', number>

/** Sends notifications to a port from a process of its own. */
export const sendLoad = async (port: number, load: Load): Promise<Seen> => {
  const plan = { port, path: '/container_registry_event/events', token: NOTIFICATION_TOKEN, ...load }
  const { stdout } = await run(process.execPath, [join(ROOT, 'dist', 'bench', 'load.js'), JSON.stringify(plan)])
  return JSON.parse(stdout) as Seen
}

export const portOf = ({ service }: Pair): number => Number(new URL(service.url).port)

/** PFADDs a second of redis-benchmark, each waited for. */
export const redisLimit = async ({ redis }: Servers, connections: number): Promise<number> => {
  const counted = ['-c', String(connections), '-n', '20000', '-r', '1000', '--csv', 'pfadd', 'limit', '__rand_int__']
  const { stdout } = await run('redis-benchmark', ['-p', String(redis.port), ...counted])
  return Number(/,"([\d.]+)"/.exec(stdout.split('\n')[1] ?? '')?.[1])
}

/** Commits of one row a second of pgbench, with fsync. */
export const postgresLimit = async (
  { postgres }: Servers,
  script: string,
  connections: number,
  seconds: number,
): Promise<number> => {
  const load = ['-n', '-M', 'prepared', '-c', String(connections), '-T', String(seconds), '-f', script]
  const { stdout } = await run(postgresProgram('pgbench'), [...load, postgres.url])
  return Number(/^tps = ([\d.]+)/m.exec(stdout)?.[1])
}

const firstLine = (program: string, args: string[]): string =>
  execFileSync(program, args, { encoding: 'utf8' }).split('\n')[0] ?? ''

export const versions = (): string =>
  [
    firstLine('redis-server', ['--version']).replace(/ sha=.*/, ''),
    firstLine(postgresProgram('postgres'), ['--version']),
    `commit ${existsSync(join(ROOT, '.git')) ? firstLine('git', ['-C', ROOT, 'rev-parse', '--short', 'HEAD']) : 'unknown'}`,
  ].join(', ')

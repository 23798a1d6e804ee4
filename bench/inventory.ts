import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from '../test/servers/process.js'
import { startRedis } from '../test/servers/redis.js'
import { fillOnce, settle, warm } from './filled.js'
import type { Place, Workload } from './notifications.js'
import { sampleOf, type Row } from './sample.js'
import {
  portOf,
  query,
  sendLoad,
  startBareHandler,
  startOnDatabase,
  startOnServers,
  BENCH_REDIS,
  startServers,
  type Load,
  type Pair,
  type Seen,
  type Servers,
} from './servers.js'

/** How a registry, or several, send; `least` times what RegStat stored is asked for. */
type Sending = Omit<Load, 'workload' | 'requests' | 'seconds'> & { name: string; least: number }

const SENDINGS: Sending[] = [
  { name: '1 connection, a new one for each event', connections: 1, keepAlive: false, events: 1, least: 1 },
  { name: '8 connections', connections: 8, keepAlive: true, events: 1, least: 8 },
  { name: '32 connections', connections: 32, keepAlive: true, events: 1, least: 8 },
  { name: '32 connections, 10 events a POST', connections: 32, keepAlive: true, events: 10, least: 8 },
]

/** What RegStat stored in a second, measured the same way on a machine like this one, in the order of `SENDINGS`. */
const REGSTAT = {
  blobs: [745, 812, 726, 3_388],
  pulls: [572, 386, 514, 1_065],
  // It asks for the contents of each; on one connection it was measured with the connection kept open.
  manifests: [457, 501, 501, 329],
}

type Rows = Partial<Record<'repository_manifests' | 'repository_blobs' | 'tags' | 'manifest_blobs' | 'changes', number>>

/** A workload, and the rows that each of its events adds. */
type Kind = { workload: Workload; what: string; regstat: readonly number[]; adds: Rows }

const KINDS: Kind[] = [
  { workload: 'push-blob', what: 'blobs pushed', regstat: REGSTAT.blobs, adds: { repository_blobs: 1 } },
  { workload: 'pull-tag', what: 'tags pulled', regstat: REGSTAT.pulls, adds: { repository_blobs: 0, changes: 0 } },
  {
    workload: 'push-manifest-told',
    what: 'manifests of 3 blobs pushed',
    regstat: REGSTAT.manifests,
    adds: { repository_manifests: 1, tags: 1, changes: 1, manifest_blobs: 3 },
  },
  {
    workload: 'push-manifest',
    what: 'manifests pushed, contents not reported',
    regstat: REGSTAT.manifests,
    adds: { repository_manifests: 1, tags: 1, changes: 1, manifest_blobs: 0 },
  },
]

/** More than can be sent in the time. */
const requestsPerSecond = ({ connections, events }: Sending): number =>
  connections > 1 && events === 1 ? 9_000 : 4_000
const WARM_UP_SECONDS = 2

/** Times that the full tables are sent events for longer, before what lasts is measured. */
const SUSTAINED = 25
const LARGE: Sending = { name: 'warming up', connections: 32, keepAlive: true, events: 10, least: 0 }

type Settings = {
  rounds: number
  seconds: number
  /** One kind of events alone. */
  only?: string
}

const kindsOf = ({ only }: Settings): Kind[] => {
  const kinds = KINDS.filter(({ workload }) => only === undefined || workload === only)
  if (kinds.length > 0) return kinds
  throw new Error(`there is no kind "${only}"; there are ${KINDS.map(({ workload }) => workload).join(', ')}`)
}

/** Events stored a second with PostgreSQL and Redis, for each kind of event that the inventory lives on. */
export const benchInventory = async (settings: Settings): Promise<Row[]> => {
  const servers = await startServers()
  const bare = await startBareHandler()
  try {
    const rows: Row[] = []
    for (const kind of kindsOf(settings)) rows.push(...(await measure(servers, bare.port, kind, settings)))
    return rows
  } finally {
    await bare.stop()
    await servers.stop()
  }
}

const measure = async (servers: Servers, bare: number, kind: Kind, { rounds, seconds }: Settings): Promise<Row[]> => {
  const receiver = await receiverOf(await startOnServers(servers), kind)
  try {
    for (const sending of SENDINGS) await receiver.send(sending, WARM_UP_SECONDS)
    const rows: Row[] = []
    for (const [i, sending] of SENDINGS.entries()) {
      const [bares, seens]: [Seen[], Seen[]] = [[], []]
      // Side by side, round by round: the machine is shared, and what it has to give changes by the minute.
      for (let round = 0; round < rounds; round++) {
        progress(kind, sending, round)
        bares.push(await sendLoad(bare, loadOf(kind, sending, seconds)))
        seens.push(await receiver.send(sending, seconds))
      }
      rows.push(rowOf(kind, sending, kind.regstat[i] ?? NaN, seens, bares))
    }
    await receiver.verify()
    return rows
  } finally {
    await receiver.stop()
  }
}

/** Tags of the full inventory that events are about: as many of its repositories as come along. */
const PLACES = 10_000
/** More is not lost on full tables. */
const LEAST_OF_EMPTY = 0.8

/**
 * The same on a database that holds ten million blobs, a million manifests and half a million tags, beside an empty one on the
 * same server. Events are about tags and repositories all over it.
 * @param url of a database that is empty, and filled first, which takes minutes; or that was filled by an earlier run.
 */
export const benchFilled = async (settings: Settings, url: string): Promise<Row[]> => {
  await fillOnce(url)
  await settle(url, () => new Date())
  await warm(url)
  const folder = temporaryFolder('bench')
  const places = join(folder.path, 'places.json')
  writeFileSync(places, JSON.stringify(await placesIn(url)))
  const redis = await startRedis([...BENCH_REDIS])
  const empty = new URL(url)
  empty.pathname = '/bench_empty'
  try {
    const rows: Row[] = []
    for (const kind of kindsOf(settings)) {
      await query(url, 'drop database if exists bench_empty with (force)')
      await query(url, 'create database bench_empty')
      rows.push(...(await compare(redis, [empty.href, url], places, kind, settings)))
    }
    return rows
  } finally {
    await redis.stop()
    folder.remove()
  }
}

const placesIn = async (url: string): Promise<Place[]> =>
  query<Place>(
    url,
    `select r.registry, r.name as repository, t.name as tag, t.digest
    from inventory.tags t join inventory.repositories r on r.id = t.repository_id
    where t.name like 'v%' order by md5(t.repository_id || t.name) limit ${PLACES}`,
  )

const compare = async (
  redis: Servers['redis'],
  [empty, full]: [string, string],
  places: string,
  kind: Kind,
  { rounds, seconds }: Settings,
): Promise<Row[]> => {
  const onEmpty = await receiverOf(await startOnDatabase({ redis }, empty), kind, places)
  const onFull = await receiverOf(await startOnDatabase({ redis }, full), kind, places)
  const both = [onEmpty, onFull]
  try {
    for (const sending of SENDINGS.slice(1)) for (const { send } of both) await send(sending, WARM_UP_SECONDS)
    // After a checkpoint PostgreSQL logs each page in full when it is written first, and full tables have very many of them.
    for (let i = 0; i < SUSTAINED; i++) await onFull.send(LARGE, WARM_UP_SECONDS)
    const rows: Row[] = []
    for (const sending of SENDINGS) {
      const [empties, fulls]: [number[], number[]] = [[], []]
      for (let round = 0; round < rounds; round++) {
        progress(kind, sending, round)
        empties.push((await onEmpty.send(sending, seconds)).eventsPerSecond)
        fulls.push((await onFull.send(sending, seconds)).eventsPerSecond)
      }
      rows.push({
        measured: `${kind.what}, full tables of empty ones: ${sending.name}`,
        unit: 'of the rate',
        sample: sampleOf(fulls.map((rate, i) => rate / (empties[i] ?? NaN))),
        target: { least: LEAST_OF_EMPTY },
        note: `${Math.round(sampleOf(fulls).median)}/s full, ${Math.round(sampleOf(empties).median)}/s empty`,
      })
    }
    for (const { verify } of both) await verify()
    return rows
  } finally {
    for (const { stop } of both) await stop()
  }
}

const progress = ({ what }: Kind, { name }: Sending, round: number): void => {
  console.error(`  ${what}, ${name}, round ${round + 1} …`)
}

type Receiver = {
  send: (sending: Sending, seconds: number) => Promise<Seen>
  /** What was answered must be in the tables, and nothing else. */
  verify: () => Promise<void>
  stop: () => Promise<void>
}

/** A service that is sent one kind of events. */
const receiverOf = async (pair: Pair & { database: string }, kind: Kind, places?: string): Promise<Receiver> => {
  const before = await countRows(pair.database)
  let stored = 0
  let refused = 0
  return {
    send: async (sending, seconds) => {
      const load = { ...loadOf(kind, sending, seconds), ...(places !== undefined && { places }) }
      const seen = await sendLoad(portOf(pair), load)
      stored += seen.stored
      console.error(`    ${Math.round(seen.eventsPerSecond)}/s`)
      if (seen.failed > 0) console.error(`    ${seen.failed} notifications were not answered 200, to be sent again`)
      refused += seen.failed * sending.events
      return seen
    },
    verify: async () => {
      const after = await countRows(pair.database)
      for (const [table, each] of Object.entries({ event_ids: 1, ...kind.adds })) {
        const [expected, found] = [stored * each, (after[table] ?? NaN) - (before[table] ?? NaN)]
        // What was refused because an answer of the database came too late may be there all the same.
        if (!(found >= expected && found <= expected + refused * each)) {
          throw new Error(`${kind.what}: ${table} grew by ${found} rows, expected ${expected}`)
        }
      }
      console.error(`  ${kind.what}: all ${stored} events that were answered are in the database`)
    },
    stop: pair.stop,
  }
}

const loadOf = ({ workload }: Kind, sending: Sending, seconds: number): Load => ({
  workload,
  connections: sending.connections,
  keepAlive: sending.keepAlive,
  events: sending.events,
  seconds,
  requests: seconds * requestsPerSecond(sending),
})

const rowOf = (kind: Kind, sending: Sending, regstat: number, seens: readonly Seen[], bares: readonly Seen[]): Row => {
  const rate = sampleOf(seens.map(({ eventsPerSecond }) => eventsPerSecond))
  const limits = bares.map(({ eventsPerSecond }) => eventsPerSecond)
  return {
    measured: `${kind.what}: ${sending.name}`,
    unit: 'events/s stored',
    sample: rate,
    target: { least: regstat * sending.least },
    limit: {
      what: 'of a bare node:http handler',
      ratio: sampleOf(seens.map(({ eventsPerSecond }, i) => eventsPerSecond / (limits[i] ?? NaN))),
    },
    note: `bare handler ${Math.round(sampleOf(limits).median)}/s; ${(rate.median / regstat).toFixed(1)} × RegStat's ${regstat}/s`,
  }
}

const TABLES = ['repository_manifests', 'repository_blobs', 'tags', 'manifest_blobs', 'changes'] as const

const countRows = async (database: string): Promise<Record<string, number>> => {
  const counts = [
    '(select count(*)::int from event_ids) as event_ids',
    ...TABLES.map((table) => `(select count(*)::int from inventory.${table}) as ${table}`),
  ]
  const [row] = await query<Record<string, number>>(database, `select ${counts.join(', ')}`)
  if (!row) throw new Error('the database counted nothing')
  return row
}

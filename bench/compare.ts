import { once } from 'node:events'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { temporaryFolder } from '../test/servers/process.js'
import { NOTIFICATION_TOKEN, SERVE, startService, type Service } from '../test/servers/service.js'
import { exchange, openConnection, postText } from './exchange.js'
import { createEvents, somePlaces, type Workload } from './notifications.js'
import { sampleOf, type Row } from './sample.js'
import type { Servers } from './servers.js'

const WORKLOADS: Workload[] = ['push-tag', 'push-blob', 'pull-tag', 'push-manifest', 'push-manifest-told']
/** `most`: requests, more than are answered in a turn. */
const SENDERS = [
  { name: '1 connection, a new one for each event', connections: 1, keepAlive: false, events: 1, most: 1_200 },
  { name: '8 connections', connections: 8, keepAlive: true, events: 1, most: 3_000 },
  { name: '32 connections', connections: 32, keepAlive: true, events: 1, most: 3_000 },
  { name: '32 connections, 10 events a POST', connections: 32, keepAlive: true, events: 10, most: 1_200 },
]
type Sender = (typeof SENDERS)[number]

const TURN_MS = 300
/** Turns before the first that counts: code is compiled meanwhile. */
const WARM_UP = 6
/** Turns for each round of --rounds. */
const TURNS_OF_A_ROUND = 3

/** A service under comparison, on stores of its own. */
type Side = { service: Service; port: number; stop: () => Promise<void> }

/**
 * Rates of this build as parts of those of another. Both run side by side, and get the load in turns so short that what the
 * machine gives to both hardly changes within a pair.
 * @param against folder of a built checkout of another commit
 * @param only one workload alone
 */
export const benchCompare = async (
  servers: Servers,
  { against, rounds, only }: { against: string; rounds: number; only: string | undefined },
): Promise<Row[]> => {
  const rows: Row[] = []
  for (const stores of ['Redis + PostgreSQL', 'embedded'] as const) {
    for (const workload of WORKLOADS.filter((one) => only === undefined || one === only)) {
      const environments = stores === 'embedded' ? [{}, {}] : [await onServers(servers), await onServers(servers)]
      const other: [string, ...string[]] = [process.execPath, join(against, 'dist', 'main.js'), 'serve']
      const sides = [await start(SERVE, environments[0]), await start(other, environments[1])] as const
      try {
        for (const sender of SENDERS) {
          console.error(`  ${stores}: ${workload}, ${sender.name} …`)
          rows.push(rowOf(`${stores}: ${workload}, ${sender.name}`, await inTurns(sides, workload, sender, rounds)))
        }
      } finally {
        for (const side of sides) await side.stop()
      }
    }
  }
  return rows
}

let databases = 0
/** A database of each server: a Redis database belongs to one installation. */
const onServers = async ({ postgres, redis }: Servers): Promise<Record<string, string>> => {
  const number = databases++
  return {
    DATABASE_URL: await postgres.database(`bench_compare_${number}`),
    REDIS_URL: `${redis.url}/${number}`,
    TALLYMAN_USERS_KEY: `a key of the benchmarks for database ${number}`,
  }
}

const start = async (command: [string, ...string[]], environment: Record<string, string> = {}): Promise<Side> => {
  const folder = temporaryFolder('bench')
  const service = await startService(folder.path, environment, command)
  return {
    service,
    port: Number(new URL(service.url).port),
    stop: async () => {
      await service.process.end()
      folder.remove()
    },
  }
}

/** Events a second of this build and the other, pair by pair; the first of a pair changes. */
const inTurns = async (
  [own, other]: readonly [Side, Side],
  workload: Workload,
  sender: Sender,
  rounds: number,
): Promise<[own: number, other: number][]> => {
  const pairs: [number, number][] = []
  for (let turn = 0; turn < WARM_UP + rounds * TURNS_OF_A_ROUND; turn++) {
    const isOwnFirst = turn % 2 === 0
    const first = await oneTurn(isOwnFirst ? own : other, workload, sender)
    const second = await oneTurn(isOwnFirst ? other : own, workload, sender)
    if (turn >= WARM_UP) pairs.push(isOwnFirst ? [first, second] : [second, first])
  }
  return pairs
}

/** Events a second that a service answered 200. @throws if it answered something else */
const oneTurn = async ({ port }: Side, workload: Workload, sender: Sender): Promise<number> => {
  const { connections, keepAlive, events, most } = sender
  const event = createEvents(workload, somePlaces(100))
  const plan = { port, path: '/container_registry_event/events', token: NOTIFICATION_TOKEN, keepAlive }
  const texts = Array.from({ length: most }, () => postText(plan, Array.from({ length: events }, event)))
  const sockets = keepAlive
    ? await Promise.all(Array.from({ length: connections }, async () => openConnection(port)))
    : []
  // What was sent in the turn before may still have work behind it.
  await setTimeout(TURN_MS / 3)
  let [next, stored] = [0, 0]
  const began = performance.now()
  const send = async (kept?: Socket): Promise<void> => {
    while (performance.now() - began < TURN_MS) {
      const text = texts[next++]
      if (text === undefined) throw new Error('a turn has too few requests')
      const socket = kept ?? (await openConnection(port))
      const answer = await exchange(socket, text)
      if (!answer.startsWith('HTTP/1.1 200')) throw new Error(`not stored: ${answer}`)
      stored += events
      if (!kept) socket.destroy()
    }
  }
  await Promise.all(keepAlive ? sockets.map(send) : Array.from({ length: connections }, async () => send()))
  const seconds = (performance.now() - began) / 1000
  await Promise.all(
    sockets.map(async (socket) => {
      socket.destroy()
      await once(socket, 'close')
    }),
  )
  return stored / seconds
}

const rowOf = (measured: string, pairs: readonly [own: number, other: number][]): Row => ({
  measured,
  unit: 'of the rate of the other build',
  sample: sampleOf(pairs.map(([own, other]) => own / other)),
  target: { least: 0.9 },
  note: `${Math.round(sampleOf(pairs.map(([own]) => own)).median)}/s beside ${Math.round(sampleOf(pairs.map(([, other]) => other)).median)}/s`,
})

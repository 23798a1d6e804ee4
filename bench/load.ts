/**
 * Sends notifications as a registry does and prints what it saw as one line of JSON.
 * Usage: load.js '{"port":3000,"token":"…","workload":"push-tag","places":"places.json","connections":1,"events":1,"seconds":10, …}'
 * A raw socket and prepared text: the machine has few cores, and they belong to what is measured.
 */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { createMixedEvents } from './mixed-events.js'
import { createEvents, somePlaces, type Place, type Workload } from './notifications.js'

type Plan = {
  port: number
  path: string
  token: string
  connections: number
  keepAlive: boolean
  workload: Workload | 'mixed'
  /** A file with the places that events are about; else a hundred, the same each time. */
  places?: string
  /** In one envelope. */
  events: number
  /** Ends after so many, or after so much time. */
  requests: number
  seconds: number
}

const plan = JSON.parse(process.argv[2] ?? '{}') as Plan

const latencies: number[] = []
let stored = 0
let failed = 0
let stop = false

const places = plan.places === undefined ? somePlaces(100) : (JSON.parse(readFileSync(plan.places, 'utf8')) as Place[])
const event = plan.workload === 'mixed' ? createMixedEvents(plan.requests) : createEvents(plan.workload, places)

const request = (): string => {
  const body = JSON.stringify({ events: Array.from({ length: plan.events }, event) }, null, 3)
  return [
    `POST ${plan.path} HTTP/1.1`,
    `Host: 127.0.0.1:${plan.port}`,
    'User-Agent: Go-http-client/1.1',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Authorization: Bearer ${plan.token}`,
    'Content-Type: application/vnd.docker.distribution.events.v1+json',
    ...(plan.keepAlive ? [] : ['Connection: close']),
    '',
    body,
  ].join('\r\n')
}

const open = async (): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port: plan.port, host: '127.0.0.1', noDelay: true }, () => {
      resolve(socket)
    })
    socket.once('error', reject)
  })

const isWhole = (answer: string): boolean => {
  const start = answer.indexOf('\r\n\r\n')
  return start > 0 && answer.length - start - 4 >= Number(/content-length: (\d+)/i.exec(answer)?.[1])
}

const exchange = async (socket: Socket, text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    // The server may have closed a connection that was idle.
    if (socket.destroyed) {
      reject(new Error('closed before the request'))
      return
    }
    let answer = ''
    const onData = (chunk: Buffer): void => {
      answer += chunk.toString('latin1')
      if (!isWhole(answer)) return
      socket.off('data', onData).off('error', reject).off('close', onClose)
      resolve(answer)
    }
    const onClose = (): void => {
      reject(new Error('closed before an answer'))
    }
    socket.on('data', onData).once('error', reject).once('close', onClose)
    socket.write(text)
  })

/** Made beforehand: what is measured is the receiver, not the making of JSON. */
const requests = Array.from({ length: plan.requests }, request)

let next = 0

const client = async (): Promise<void> => {
  let socket = plan.keepAlive ? await open() : undefined
  for (let text = requests[next++]; text !== undefined && !stop; text = requests[next++]) {
    const start = performance.now()
    try {
      const used = socket ?? (await open())
      const answer = await exchange(used, text)
      if (!plan.keepAlive) used.destroy()
      if (answer.startsWith('HTTP/1.1 200')) stored += plan.events
      else {
        failed++
        if (failed < 5) console.error(answer)
      }
    } catch {
      failed++
      if (plan.keepAlive) socket = await open()
    }
    latencies.push(performance.now() - start)
  }
}

const started = performance.now()
setTimeout(() => {
  stop = true
}, plan.seconds * 1000).unref()
await Promise.all(Array.from({ length: plan.connections }, client))
const seconds = (performance.now() - started) / 1000
latencies.sort((a, b) => a - b)
const quantile = (q: number): number =>
  latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))] ?? NaN
console.log(
  JSON.stringify({
    stored,
    failed,
    seconds,
    eventsPerSecond: stored / seconds,
    requestsPerSecond: latencies.length / seconds,
    p50: quantile(0.5),
    p99: quantile(0.99),
    p999: quantile(0.999),
    worst: quantile(1),
  }),
)

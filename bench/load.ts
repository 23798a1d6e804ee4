/**
 * Sends notifications as a registry does and prints what it saw as one line of JSON.
 * Usage: load.js '{"port":3000,"token":"…","workload":"push-tag","places":"places.json","connections":1,"events":1,"seconds":10, …}'
 */
import { readFileSync } from 'node:fs'
import { exchange, openConnection, postText } from './exchange.js'
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

const request = (): string => postText(plan, Array.from({ length: plan.events }, event))

/** Made beforehand: what is measured is the receiver, not the making of JSON. */
const requests = Array.from({ length: plan.requests }, request)

let next = 0

const client = async (): Promise<void> => {
  let socket = plan.keepAlive ? await openConnection(plan.port) : undefined
  for (let text = requests[next++]; text !== undefined && !stop; text = requests[next++]) {
    const start = performance.now()
    try {
      const used = socket ?? (await openConnection(plan.port))
      const answer = await exchange(used, text)
      if (!plan.keepAlive) used.destroy()
      if (answer.startsWith('HTTP/1.1 200')) stored += plan.events
      else {
        failed++
        if (failed < 5) console.error(answer)
      }
    } catch {
      failed++
      if (plan.keepAlive) socket = await openConnection(plan.port)
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

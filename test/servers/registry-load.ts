import { sql } from 'kysely'
import type { Database } from '../../src/storage/sql/database.js'
import { HyperLogLog } from '../../src/storage/sketches/hyperloglog/hyperloglog.js'
import type { SketchStore } from '../../src/storage/sketches/sketch-store.js'
import { createHashedNames } from '../../src/users/hashed-names.js'
import { notified } from './app.js'
import { eventually } from './process.js'
import { API_TOKEN, USERS_KEY, type Service } from './service.js'
import { digestNamed } from './stub-registry.js'

/** Answered before and after each disaster, however slow the machine: it strikes under load. */
const ANSWERED = 200
/** A request that takes longer hangs: many times what a busy machine needs. */
const LONGEST_ANSWER_MS = 60_000
const PUSHERS = 'i_container_registry_push_tag_user'

/** An envelope, who is behind its events, and the answers to it: 0 stands for none, because the connection ended. */
type Sent = { names: string[]; body: string; answers: number[] }

export type Load = {
  /** Waits until so many more requests, 200 without a number, have been answered 200. */
  more: (requests?: number) => Promise<void>
  /** Waits until a request is answered so from now on; 0 stands for no answer. */
  until: (...statuses: number[]) => Promise<void>
  /** The number of requests that were answered 200. */
  answered: () => number
  /** Ends the load once everything was answered 200, and returns the names of all who pushed. Fails if a request hung. */
  stop: () => Promise<string[]>
}

/** A push of an image under a tag of its own. */
export const pushOf = (name: string): Record<string, unknown> =>
  notified({
    actor: { name, user_type: 'build' },
    target: {
      repository: 'team/app',
      tag: name,
      digest: digestNamed(name),
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      size: 500,
    },
  })

let abandoned = new AbortController()

/** Ends the loads of a test, whatever they wait for: a test that fails would leave them behind. */
export const abandonLoads = (): void => {
  abandoned.abort()
  abandoned = new AbortController()
}

/**
 * Sends events as a registry does: one request at a time on each of a few lines, the same one again until it is answered 200.
 * Everyone who pushes pushes once, so that a lost or doubled event shows.
 * @param serviceNow the service, which may be started again in the meantime
 * @param eventsPerRequest 1 as CNCF distribution sends them; more make more load
 */
export const sendLikeRegistries = (serviceNow: () => Service, eventsPerRequest = 1): Load => {
  const sent: Sent[] = []
  const answers: number[] = []
  const hung: string[] = []
  const { signal } = abandoned
  let answered = 0
  let stopping = false
  const deliver = async ({ body, answers: own }: Sent): Promise<void> => {
    while (!signal.aborted) {
      const status = await serviceNow()
        .notify(body, {}, AbortSignal.timeout(LONGEST_ANSWER_MS))
        .then(async (response) => {
          await response.arrayBuffer()
          return response.status
        })
        .catch((error: unknown) => {
          if ((error as Error).name === 'TimeoutError') hung.push((error as Error).message)
          return 0
        })
      own.push(status)
      answers.push(status)
      if (status === 200) {
        answered++
        return
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const line = async (): Promise<void> => {
    while (!stopping && !signal.aborted) {
      const names = Array.from({ length: eventsPerRequest }, (_, i) => `person-${sent.length}-${i}`)
      const body = JSON.stringify({
        events: names.map(pushOf),
      })
      const one = { names, body, answers: [] }
      sent.push(one)
      await deliver(one)
    }
  }
  const lines = Array.from({ length: 8 }, line)
  return {
    more: async (requests = ANSWERED) => {
      const enough = answered + requests
      await eventually(`${requests} more requests are answered`, async () => Promise.resolve(answered >= enough))
    },
    until: async (...statuses) => {
      const from = answers.length
      await eventually(`a request is answered ${statuses.join(' or ')}`, async () =>
        Promise.resolve(answers.slice(from).some((status) => statuses.includes(status))),
      )
    },
    answered: () => answered,
    stop: async () => {
      stopping = true
      await Promise.all(lines)
      if (hung.length > 0) throw new Error(`${hung.length} requests had no answer within ${LONGEST_ANSWER_MS} ms`)
      const others = [...new Set(answers)].filter((status) => ![0, 200, 503].includes(status))
      if (others.length > 0) throw new Error(`a request was answered ${others.join(', ')}`)
      return sent.flatMap(({ names }) => names)
    },
  }
}

/**
 * Sends what supervisors and people ask for meanwhile, until it is stopped.
 * @returns `stop`, which fails if a request hung
 */
export const askMeanwhile = (serviceNow: () => Service): { stop: () => Promise<void> } => {
  const { signal } = abandoned
  const hung: string[] = []
  let stopping = false
  const line = async (path: string): Promise<void> => {
    while (!stopping && !signal.aborted) {
      const headers = { authorization: `Bearer ${API_TOKEN}` }
      await fetch(serviceNow().url + path, { headers, signal: AbortSignal.timeout(LONGEST_ANSWER_MS) })
        .then(async (response) => response.text())
        .catch((error: unknown) => {
          if ((error as Error).name === 'TimeoutError') hung.push(path)
        })
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
  const lines = ['/healthz', '/readyz', '/status', '/inventory/tags?repository=team/app&limit=5', '/pulls'].map(line)
  return {
    stop: async () => {
      stopping = true
      await Promise.all(lines)
      if (hung.length > 0) throw new Error(`no answer within ${LONGEST_ANSWER_MS} ms: ${hung.join(', ')}`)
    },
  }
}

export type Truth = { pushes: number; ids: number; tags: number; pushers: Uint8Array }

/** What the stores contain, read beside the service. */
export const readTruth = async (database: Database, sketches: SketchStore): Promise<Truth> => {
  const { rows } = await sql<{ pushes: string; ids: string; tags: string }>`
    select
      (select sum(value) from tallies where name = 'i_container_registry_push') as pushes,
      (select count(*) from event_ids) as ids,
      (select count(*) from inventory.tags) as tags
  `.execute(database.sql)
  const pushers = new HyperLogLog()
  for await (const { key, bytes } of sketches.entries(`{hll_counters}_${PUSHERS}-`)) {
    if (!key.includes('-M')) pushers.merge(new HyperLogLog(bytes))
  }
  return {
    pushes: Number(rows[0]?.pushes),
    ids: Number(rows[0]?.ids),
    tags: Number(rows[0]?.tags),
    pushers: pushers.registers(),
  }
}

/** What the stores must contain when these people have pushed once each: nobody missing, nobody twice. */
export const expectedTruth = (people: readonly string[]): Truth => {
  const hashed = createHashedNames(USERS_KEY)
  const pushers = new HyperLogLog()
  for (const name of people) pushers.add(hashed.idOf(name))
  return { pushes: people.length, ids: people.length, tags: people.length, pushers: pushers.registers() }
}

import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { DroppedConnection } from './connections.js'
import type { PullTotal } from '../pulls/query/pull-totals.js'

/** The metrics of the service for Prometheus. */
export type Prometheus = {
  /** The text exposition, with its content type. */
  exposition: () => Promise<{ contentType: string; text: string }>
  events: (action: string, outcome: string, count: number) => void
  /** Counts an unreadable side field of a new event. */
  unreadableField: (field: string) => void
  refused: (status: number) => void
  /** Counts a connection that was closed or refused because too many are open. */
  droppedConnection: (reason: DroppedConnection) => void
  lastEvent: (at: Date) => void
  batch: (size: number, seconds: number) => void
  /** Measures the duration of a store's operation. */
  timed: <Operation extends (...args: never[]) => Promise<unknown>>(
    store: string,
    name: string,
    operation: Operation,
  ) => Operation
}

const LATENCIES = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
const BATCH_SIZES = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000]

type PrometheusDeps = {
  /** Seconds since the newest ping; undefined before the first ping. */
  pingAge: () => Promise<number | undefined>
  /** The total pulls of each repository since counting began. */
  pullTotals: () => Promise<readonly PullTotal[]>
  /** Open conflicts between registries. */
  registryConflicts: () => Promise<number>
  /** The lines of the log that were dropped since the start. */
  droppedLogLines: () => number
  /** The numbers of unknown contents and sizes in the sums of the inventory; undefined before the first summary. */
  inventoryUnknown: () => Promise<{ contents: number; sizes: number } | undefined>
}

export const createPrometheus = ({
  pingAge,
  pullTotals,
  registryConflicts,
  droppedLogLines,
  inventoryUnknown,
}: PrometheusDeps): Prometheus => {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const events = new Counter({
    name: 'tallyman_events_total',
    help: 'Events of registries, by action and what became of them (recorded, repeated, or the reason of a skip)',
    labelNames: ['action', 'outcome'],
    registers,
  })
  const unreadableFields = new Counter({
    name: 'tallyman_unreadable_fields_total',
    help: 'Fields that could not be read and are unknown, of events that were recorded without them, by field',
    labelNames: ['field'],
    registers,
  })
  const refused = new Counter({
    name: 'tallyman_refused_requests_total',
    help: 'Notifications that were answered with an error, by HTTP status',
    labelNames: ['status'],
    registers,
  })
  const dropped = new Counter({
    name: 'tallyman_dropped_connections_total',
    help: 'Connections that were refused because all are in use (full), or closed to make room while they were idle (idle)',
    labelNames: ['reason'],
    registers,
  })
  new Counter({
    name: 'tallyman_dropped_log_lines_total',
    help: 'Lines of the log that were dropped because standard output could not be written',
    registers,
    collect() {
      this.reset()
      this.inc(droppedLogLines())
    },
  })
  const lastEvent = new Gauge({
    name: 'tallyman_last_event_timestamp_seconds',
    help: 'When the last event was received, in seconds since 1970',
    registers,
  })
  const batchSize = new Histogram({
    name: 'tallyman_batch_size',
    help: 'Events written in one transaction',
    buckets: BATCH_SIZES,
    registers,
  })
  const batchSeconds = new Histogram({
    name: 'tallyman_batch_seconds',
    help: 'Time to write one batch',
    buckets: LATENCIES,
    registers,
  })
  const stores = new Histogram({
    name: 'tallyman_store_seconds',
    help: 'Time of one operation of a store',
    labelNames: ['store', 'operation'],
    buckets: LATENCIES,
    registers,
  })
  new Gauge({
    name: 'tallyman_ping_age_seconds',
    help: 'Time since the newest Service Ping was made; NaN before the first',
    registers,
    async collect() {
      this.set((await pingAge().catch(() => undefined)) ?? NaN)
    },
  })
  new Gauge({
    name: 'tallyman_registry_conflicts',
    help: 'Conflicts of the last 7 days: a process of one registry reported a host of another; NaN if a store is unavailable',
    registers,
    async collect() {
      this.set(await registryConflicts().catch(() => NaN))
    },
  })
  new Gauge({
    name: 'tallyman_inventory_unknown',
    help: 'Live manifests whose contents (what="contents") and live blobs whose size (what="sizes") are not known, as of the last summary of the inventory; none before the first',
    labelNames: ['what'],
    registers,
    async collect() {
      this.reset()
      const unknown = await inventoryUnknown().catch(() => undefined)
      for (const [what, count] of Object.entries(unknown ?? {})) this.set({ what }, count)
    },
  })
  // Both series are collected at once, and need one answer.
  let asked: Promise<readonly PullTotal[]> | undefined
  const totalsNow = async (): Promise<readonly PullTotal[]> =>
    (asked ??= pullTotals()
      .catch(() => [])
      .finally(() => (asked = undefined)))
  const ofRepositories = (name: string, help: string, read: (total: PullTotal) => number): void => {
    new Counter({
      name,
      help,
      labelNames: ['registry', 'repository'],
      registers,
      async collect() {
        const totals = await totalsNow()
        this.reset()
        for (const total of totals) this.inc({ registry: total.registry, repository: total.repository }, read(total))
      },
    })
  }
  ofRepositories('tallyman_pulls_total', 'Pulls of a repository, as far as they were folded', ({ pulls }) => pulls)
  ofRepositories(
    'tallyman_invocations_total',
    'Pulls and checks of a repository, as far as they were folded',
    ({ invocations }) => invocations,
  )

  // Requests that arrive while the series are collected share the result, because collecting reads the database.
  let collecting: Promise<string> | undefined
  const collect = async (): Promise<string> =>
    (collecting ??= registry.metrics().finally(() => (collecting = undefined)))

  return {
    exposition: async () => ({ contentType: registry.contentType, text: await collect() }),
    events: (action, outcome, count) => {
      events.inc({ action, outcome }, count)
    },
    unreadableField: (field) => {
      unreadableFields.inc({ field })
    },
    refused: (status) => {
      refused.inc({ status })
    },
    droppedConnection: (reason) => {
      dropped.inc({ reason })
    },
    lastEvent: (at) => {
      lastEvent.set(at.getTime() / 1000)
    },
    batch: (size, seconds) => {
      batchSize.observe(size)
      batchSeconds.observe(seconds)
    },
    timed: <Operation extends (...args: never[]) => Promise<unknown>>(
      store: string,
      name: string,
      operation: Operation,
    ) =>
      (async (...args) => {
        const end = stores.startTimer({ store, operation: name })
        try {
          return await operation(...args)
        } finally {
          end()
        }
      }) as Operation,
  }
}

import type { Server } from 'node:http'
import type { Router } from 'express'
import type { Logger } from 'pino'
import { exportCounters } from '../counters/export-counters.js'
import { listCounters } from '../counters/read.js'
import { createAuthorize, createFindToken } from '../http/auth.js'
import { badgeRoutes } from '../http/badges.js'
import { dumpRoutes } from '../http/dumps.js'
import { healthRoutes, prometheusRoutes, statusRoutes } from '../http/health.js'
import { reconcileRoutes } from '../http/inventory-reconcile.js'
import { inventoryRoutes } from '../http/inventory.js'
import { createNotificationHandler } from '../http/notifications.js'
import { operatorSqlRoutes } from '../http/operator-sql.js'
import { RefusedRequest } from '../http/problem.js'
import { pullsRoutes } from '../http/pulls.js'
import { requestsRoutes } from '../http/requests.js'
import { takeQueryTurns } from '../http/query-turns.js'
import { registriesRoutes } from '../http/registries.js'
import { routesOf, type Route } from '../http/routes.js'
import { createHttpServer } from '../http/server.js'
import { trackRoutes } from '../http/track.js'
import { publicUsageData, usageData } from '../http/usage-data.js'
import type { Background } from './background.js'
import { checkStores, createStoreCheck } from './check-stores.js'
import type { Core } from './core.js'
import { droppedLineWarnings, type DroppedLines } from './log-output.js'
import { observeNotifications, onceAMinute } from './observe.js'
import { mostConnections, openFileWarnings } from './open-files.js'
import type { Recording } from './recording.js'
import { readStatus, type Status } from './status.js'
import { createWriteCheck, probeWrites, type WriteCheck } from './write-check.js'

/** The HTTP server, which does not listen yet, and its routes without the webhook. */
export type Doors = { http: Server; routes: readonly Route[] }

type JoinedParts = { core: Core; recording: Recording; background: Background; droppedLines: () => DroppedLines }
type DoorsDeps = JoinedParts & { writes: WriteCheck }

/** Joins the webhook and the routers of operators to one server. */
export const createDoors = (parts: JoinedParts, log: Logger): Doors => {
  const { core, recording } = parts
  const { config, secrets, identity, now } = core
  const { database, sketches, prometheus, receptions } = recording
  const writes = createWriteCheck({
    probe: async () => probeWrites({ database, sketches }),
    elapsed: () => performance.now(),
  })
  const routers = routersOf({ ...parts, writes })
  const findToken = createFindToken(secrets.notificationTokens)
  const authorizeApi = createAuthorize(secrets.apiTokens)
  const observer = observeNotifications({ receptions, prometheus, writes, log, now })
  const http = createHttpServer({
    notifications: createNotificationHandler({
      ...{ findToken, authorizeApi, observer },
      now: recording.clock.latest,
      ingest: recording.ingest,
      resolve: identity.resolve,
      losses: database.losses,
      largestBody: config.largest_body_bytes,
    }),
    ...routers,
    queryTurns: takeQueryTurns(database.engine),
    mostConnections: mostConnections(),
    authorizeApi,
    findToken,
    onMisdirected: observer.refused,
    ...logProblems(recording, log, now),
  })
  return { http, routes: routesOf(Object.values(routers).flat()) }
}

/** By the token that they ask for. */
type Routers = Record<'open' | 'metrics' | 'closed', Router[]>

const routersOf = (deps: DoorsDeps): Routers => {
  const { config, metrics, stores, now } = deps.core
  const { database, sketches, prometheus, pulls } = deps.recording
  const sharedCheck = createStoreCheck({ database, sketches }, () => performance.now())
  const metricsRoutes = prometheusRoutes(prometheus)
  return {
    open: [
      healthRoutes({
        checkStores: sharedCheck,
        checkWrites: deps.writes.check,
        hasFailed: () => stores.failure() !== undefined,
      }),
      publicUsageData({ metrics }),
      ...(config.metrics_public ? [metricsRoutes] : []),
      badgeRoutes({ database, context: pulls.context, repositories: config.public_badges, now }),
    ],
    metrics: [metricsRoutes],
    closed: [
      statusRoutes({ status: statusOf(deps), checkStores: async () => checkStores({ database, sketches }) }),
      ...operatorRouters(deps),
    ],
  }
}

const operatorRouters = ({ core, recording, background }: DoorsDeps): Router[] => {
  const { config, rules, metrics, stores, registries, registryNames, identity, pings, now } = core
  const { database, sketches, pulls, rebuildStale, track, identifyName, hashed } = recording
  const marks = { fingerprint: core.fingerprint, registryIdentity: identity.mode }
  return [
    usageData({
      ...{ rules, sketches, metrics, pings },
      listCounters: async () => listCounters(sketches),
      exportCounters: () => exportCounters({ database, sketches, rebuildStale }, marks),
    }),
    reconcileRoutes({ database, registries, clientFor: core.clientFor, now }),
    registriesRoutes({ database, identity, tokenNames: core.tokenNames, flush: flushHeard(core, recording) }),
    inventoryRoutes({ database, registries, registryNames, summarize: background.summarizeNow, now }),
    requestsRoutes({ database, registryNames, now }),
    pullsRoutes({ database, registries, registryNames, context: pulls.context, now, dumps: stores.dumps }),
    operatorSqlRoutes({ queryCopy: stores.queryCopy, isOn: config.sql_route }),
    ...(stores.dumps ? [dumpRoutes(stores.dumps)] : []),
    trackRoutes({ track, rules, identifyName, hashed }),
  ]
}

/** Stores what was heard since the last write. While no store takes writes, what is stored can still be read. */
const flushHeard =
  (core: Core, { receptions }: Recording) =>
  async (): Promise<unknown> =>
    Promise.allSettled([receptions.flush(), core.identity.flush()])

const statusOf =
  ({ core, recording, writes, droppedLines }: DoorsDeps) =>
  async (): Promise<Status> => {
    await flushHeard(core, recording)()
    const found = await readStatus(core, recording.clock)
    const warnings = [
      ...core.config.unknown_variables,
      ...openFileWarnings(),
      ...droppedLineWarnings(droppedLines(), core.now()),
      ...found.warnings,
    ]
    return { ...found, service: { isRunning: true }, warnings, writes: await writes.check() }
  }

/** Logs each kind of problem once a minute: a client may cause thousands. */
const logProblems = (
  { prometheus }: Recording,
  log: Logger,
  now: () => Date,
): Pick<Parameters<typeof createHttpServer>[0], 'onError' | 'onDropped' | 'onUnread'> => {
  const isToBeLogged = onceAMinute(now)
  return {
    onError: (error, status) => {
      if (!isToBeLogged(status)) return
      // A route has answered what it knows; anything else may be a defect.
      if (error instanceof RefusedRequest) log.warn({ reason: error.message }, 'a request failed')
      else log.error({ err: error }, 'a request failed')
    },
    onDropped: (why) => {
      prometheus.droppedConnection(why)
      if (isToBeLogged('dropped'))
        log.warn('too many connections are open: new ones are refused, or idle ones are closed')
    },
    onUnread: () => {
      if (isToBeLogged('unread'))
        log.warn('connections were closed: their clients left too many bytes of answers unread')
    },
  }
}

import type { Server } from 'node:http'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { checkStores } from './check-stores.js'
import type { Config } from '../config/config.js'
import { home } from '../home.js'
import { createJobRests, onJobError, restWarnings, type JobRests } from './job-rests.js'
import { createCore, type Core } from './core.js'
import { listCounters } from '../counters/read.js'
import { createRepositories } from '../counters/repositories.js'
import { resolveUsers } from '../counters/resolve-users.js'
import { createTrack } from '../counters/track.js'
import { exportCounters } from '../counters/export-counters.js'
import { createAuthorize, createFindToken } from '../http/auth.js'
import { badgeRoutes } from '../http/badges.js'
import { dumpRoutes } from '../http/dumps.js'
import { healthRoutes, prometheusRoutes, statusRoutes, type StoreCheck } from '../http/health.js'
import { reconcileRoutes } from '../http/inventory-reconcile.js'
import { inventoryRoutes } from '../http/inventory.js'
import { createNotificationHandler } from '../http/notifications.js'
import { createPrometheus, type Prometheus } from '../http/prometheus.js'
import { operatorSqlRoutes } from '../http/operator-sql.js'
import { BadRequest } from '../http/problem.js'
import { routesOf, type Route } from '../http/routes.js'
import { createHttpServer } from '../http/server.js'
import { pullsRoutes } from '../http/pulls.js'
import { takeQueryTurns } from '../http/query-turns.js'
import { registriesRoutes } from '../http/registries.js'
import { trackRoutes } from '../http/track.js'
import { tokenIn } from '../sources/authorization-header.js'
import { publicUsageData, usageData } from '../http/usage-data.js'
import { createOrigins } from '../requesters/lookup-origins.js'
import { scheduledReconcile } from '../inventory/reconcile/scheduled.js'
import { createIsOwnRead } from '../registries/own-reads.js'
import { createReadBack } from '../inventory/read-back/read-back.js'
import { createIngest } from '../ingest/ingest.js'
import { createReceptions } from '../ingest/receptions.js'
import { createSummarize } from '../inventory/summary/summarize.js'
import { jobsFor } from './job-table.js'
import { startJobs } from '../runtime/jobs.js'
import { observeNotifications, onceAMinute } from './observe.js'
import { openPulls } from './open-pulls.js'
import { newestPing } from '../ping/history.js'
import { readStatus, type Status } from './status.js'
import type { UserDirectory } from '../users/directory.js'
import { createGitlabUsers } from '../users/gitlab-users.js'
import { createHashedNames } from '../users/hashed-names.js'
import { createIdentify, createIdentifyName } from '../users/identify.js'
import { readInThread } from '../users/read-in-thread.js'
import { openUserFile } from '../users/user-file.js'
import { createUserTokenVerifier } from '../users/user-token.js'
import { readConflicts } from '../registries/conflicts.js'
import { isStorageUnavailable } from '../storage/unavailable.js'
import type { Occurrence } from '../storage/kept-job.js'
import { deleteOtherSchedules } from '../storage/sql/schedules.js'
import { trustIn } from '../schema/seen-at.js'
import { writeServiceHeartbeat } from '../schema/service-heartbeat.js'
import { sketchWarnings } from '../schema/bound-sketches.js'
import { checkUsersKey } from '../schema/users-key.js'
import { unknownInTotals } from '../inventory/model/as-of.js'
import { pullTotals } from '../pulls/query/pull-totals.js'
import { watchFiles } from '../runtime/watch-files.js'
import { within } from '../runtime/timeout.js'
import { createWriteCheck, probeWrites } from './write-check.js'

export type App = {
  core: Core
  http: Server
  /** All routes but the webhook. */
  routes: readonly Route[]
  /** With the embedded database. */
  rests: JobRests | undefined
  /** Reads the files of registries again. If a file is invalid, the error is logged, and the previous registries stay in use. */
  reload: () => void
  /** Does what need not be done before the service answers. To be called when `http` listens. */
  afterListening: () => Promise<void>
  /** Writes what was taken and closes the stores. The HTTP server takes no more by then. */
  close: () => Promise<void>
}

/** Jobs that are under way get this long when the service stops. */
const JOBS_PATIENCE_MS = 1_500

/** Joins the whole service. The caller lets `http` listen. What was opened is closed again when it fails. */
export const createApp = async (
  config: Config,
  log: Logger,
  now: () => Date,
  canEndStatements = false,
): Promise<App> => {
  const core = await createCore(config, now, true, canEndStatements)
  try {
    return await joinApp(core, log)
  } catch (error) {
    await core.stores.close()
    throw error
  }
}

const joinApp = async (core: Core, log: Logger): Promise<App> => {
  const { config, rules, metrics, secrets, stores, registries, registryNames, pings, now } = core
  const { lifetimes } = config
  const prometheus = createPrometheus({
    pingAge: async () => pingAge(core),
    pullTotals: async () => pullTotals(stores.database.sql),
    registryConflicts: async () =>
      (await readConflicts({ database: stores.database, identity: core.identity, now })).length,
    inventoryUnknown: async () => unknownInTotals(stores.database.sql),
  })
  const { database, sketches } = observed(stores, prometheus)
  const repositories = createRepositories({ database, sketches, rules, lifetimes })
  const { rebuildStale } = repositories
  await rebuildStale().catch((error: unknown) => {
    if (isStorageUnavailable(error)) throw error
    // The job tries again.
    log.error(
      { err: error },
      'some sketches cannot be rebuilt yet: their counts may include first events that were not the first',
    )
  })

  const hashed = createHashedNames(secrets.usersKey)
  const directory = await openDirectory(core, hashed, log)
  const hasUserTokens = config.user_token_key !== undefined
  const identifyName = createIdentifyName({ directory, deployTokens: hashed, hasUserTokens })
  const identify = createIdentify({ identifyName, ...tokenVerifier(config) })
  const pulls = await openPulls(core, database)
  stores.dumps?.onNotice((notice) => {
    log.warn({ notice }, 'files of the embedded database need attention')
  })
  await stores.dumps?.finishErasures()
  /** Work that counts users, after the database is bound to the users key. */
  const claimed =
    <Given extends unknown[], Result>(work: (...given: Given) => Promise<Result>) =>
    async (...given: Given): Promise<Result> => {
      const claiming = core.claimUsersKey()
      if (claiming) await claiming
      return work(...given)
    }
  const { ingest, idle } = createIngest({
    database,
    sketches,
    rules,
    lifetimes,
    repositories,
    identify,
    originOf: createOrigins(secrets.usersKey, pulls.saltAt),
    pendingOf: pulls.pendingOf,
    isOwnRead: createIsOwnRead(secrets.usersKey, registries),
    now,
    onBatch: prometheus.batch,
  })

  const receptions = createReceptions(database, now)
  const isToBeLogged = onceAMinute(now)
  const onError = (error: unknown, status: number): void => {
    if (!isToBeLogged(status)) return
    // A route has answered what it knows; anything else may be a defect.
    if (error instanceof BadRequest) log.warn({ reason: error.message }, 'a request failed')
    else log.error({ err: error }, 'a request failed')
  }
  const resolve = async (): Promise<number> =>
    resolveUsers({ database, sketches, rules, lifetimes, repositories, idOf: directory.idOf, now })
  const readBack = createReadBack({
    database: stores.database,
    registries,
    clientFor: (name) => {
      const registry = registries.list().find((one) => one.name === name && one.url !== undefined && one.cache !== true)
      return registry && core.clientFor(registry)
    },
    now,
  })
  const stopping = new AbortController()
  const reconcile = async ({ due }: Occurrence): Promise<'done' | 'later'> => {
    const { database } = stores
    const { clientFor } = core
    const needs = { database, registries, clientFor, now, signal: stopping.signal }
    return scheduledReconcile(needs, config.reconcile_apply, due)
  }
  const { now: summarizeNow, whenDue: summarize, stop: stopSummary } = createSummarize(stores.database, now)
  const work = { receptions, rebuildStale, resolve, readBack: readBack.run, reconcile, summarize, pulls }
  const allJobs = jobsFor(core, work)
  await deleteOtherSchedules(
    stores.database.sql,
    allJobs.map(({ name }) => name),
  )
  if (!stores.lock) {
    await writeServiceHeartbeat(stores.database, core.holder)
    // Another process may have renewed the key before it could see the sign.
    await checkUsersKey(stores.database.sql, core.fingerprint)
  }
  const rests = stores.lock && createJobRests(config.data_dir, now)
  for (const warning of restWarnings(rests?.noted ?? [], now())) log.warn(warning)
  const { uuid } = core.installation
  for (const warning of await sketchWarnings({ ...stores, uuid, now: now(), lifetimes })) log.warn(warning)
  const { waitMs: unsteadyMs, lastSeenAt } = await trustIn(stores.database.sql, now())
  if (lastSeenAt)
    log.warn(
      { lastSeenAt },
      'no service ran for more than a day, or the clock is ahead: nothing old is deleted for a day',
    )
  const jobs = startJobs(allJobs, { ...rests, unsteadyMs, onError: onJobError(rests, log) })
  const reload = (): void => {
    try {
      registries.reload()
      log.info({ registries: registries.list().length }, 'the registries were read again')
    } catch (error) {
      log.warn(
        { reason: (error as Error).message },
        'the registries cannot be read again; the previous ones stay in use',
      )
    }
  }
  const unwatch = watchFiles(config.registriesFiles, reload)
  const status = async (): Promise<Status> => {
    // While no store takes writes, what is stored can still be read.
    await Promise.allSettled([receptions.flush(), core.identity.flush()])
    const found = await readStatus(core)
    const warnings = [...config.unknown_variables, ...found.warnings]
    return { ...found, service: { isRunning: true }, warnings, writes: await writes.check() }
  }

  const writes = createWriteCheck({
    probe: async () => probeWrites({ database, sketches }),
    elapsed: () => performance.now(),
  })
  const check = async (): Promise<StoreCheck> => checkStores({ database, sketches })
  const metricsRoutes = prometheusRoutes(prometheus)
  const findToken = createFindToken(secrets.notificationTokens)
  const authorizeApi = createAuthorize(secrets.apiTokens)
  const observer = observeNotifications({ receptions, prometheus, writes, log, now })
  const routers = {
    open: [
      healthRoutes({
        ...{ checkStores: check, checkWrites: writes.check },
        hasFailed: () => stores.failure() !== undefined,
      }),
      publicUsageData({ metrics }),
      ...(config.metrics_public ? [metricsRoutes] : []),
      badgeRoutes({ database, context: pulls.context, repositories: config.public_badges, now }),
    ],
    metrics: [metricsRoutes],
    closed: [
      statusRoutes({ status, checkStores: check }),
      usageData({
        rules,
        sketches,
        metrics,
        pings,
        listCounters: async () => listCounters(sketches),
        exportCounters: () =>
          exportCounters(
            { database, sketches, rebuildStale },
            { fingerprint: core.fingerprint, registryIdentity: core.identity.mode },
          ),
      }),
      reconcileRoutes({ database, registries: core.registries, clientFor: core.clientFor, now }),
      registriesRoutes({ database, identity: core.identity, tokenNames: core.tokenNames }),
      inventoryRoutes({ database, registries: core.registries, registryNames, summarize: summarizeNow, now }),
      pullsRoutes({
        ...{ database, registries: core.registries, registryNames, context: pulls.context, now },
        dumps: stores.dumps,
      }),
      operatorSqlRoutes({ queryCopy: stores.queryCopy, isOn: config.sql_route }),
      ...(stores.dumps ? [dumpRoutes(stores.dumps)] : []),
      trackRoutes({
        track: claimed(createTrack({ database, sketches, rules, lifetimes, now })),
        ...{ rules, identifyName, hashed },
      }),
    ],
  }
  const http = createHttpServer({
    notifications: createNotificationHandler({
      ingest: claimed(ingest),
      findToken,
      authorizeApi,
      resolve: core.identity.resolve,
      losses: database.losses,
      largestBody: config.largest_body_bytes,
      observer,
      now,
    }),
    ...routers,
    queryTurns: takeQueryTurns(database.engine),
    authorizeApi,
    isSender: (headers) => typeof findToken(tokenIn(headers)) === 'object',
    onMisdirected: observer.refused,
    onError,
    onDropped: (why) => {
      prometheus.droppedConnection(why)
      if (isToBeLogged('dropped'))
        log.warn('too many connections are open: new ones, or idle ones without a token, are closed')
    },
    onUnread: () => {
      if (isToBeLogged('unread'))
        log.warn('connections were closed: their clients left too many bytes of answers unread')
    },
  })

  const finishErasures = async (): Promise<void> => {
    await pulls.finishErasures().catch((error: unknown) => {
      log.error({ err: error }, 'an erasure is not finished; the service tries again within two hours')
    })
    await stores.dumps?.replaceMarked()
  }
  let replacing = Promise.resolve()
  return {
    core,
    http,
    rests,
    routes: routesOf(Object.values(routers).flat()),
    reload,
    afterListening: async () => (replacing = finishErasures()),
    close: async () => {
      core.giveUpPings()
      readBack.stop()
      stopping.abort()
      const stopped = jobs.stop()
      await idle()
      await receptions.flush().catch(() => undefined)
      await core.identity.flush().catch(() => undefined)
      // A dump may take longer; it is made again another day, and a job that is cut off does all that is due next time.
      await within(JOBS_PATIENCE_MS, Promise.all([stopped, replacing])).catch(() => undefined)
      await within(JOBS_PATIENCE_MS, Promise.all([pulls.releaseProvisional(), stopSummary()])).catch(() => undefined)
      directory.close()
      unwatch()
      await stores.close()
    },
  }
}

/** The built source of the thread that reads the users file. */
const USER_FILE_THREAD = join(home, 'dist', 'users', 'user-file-thread.js')

const openDirectory = async ({ config, now }: Core, hashed: UserDirectory, log: Logger): Promise<UserDirectory> => {
  if (config.user_directory === 'file') {
    return openUserFile(config.users_file ?? '', {
      read: async (file, signal) => readInThread(USER_FILE_THREAD, file, signal),
      watchFiles,
      onProblem: (error) => {
        log.warn({ reason: error.message }, 'the users file cannot be read again; the previous ids stay in use')
      },
    })
  }
  if (config.user_directory === 'gitlab') {
    return createGitlabUsers({ url: config.gitlab_url ?? '', token: config.gitlab_token ?? '', now })
  }
  return hashed
}

const tokenVerifier = ({ user_token_key }: Config): Pick<Parameters<typeof createIdentify>[0], 'verifyUserToken'> =>
  user_token_key === undefined ? {} : { verifyUserToken: createUserTokenVerifier(user_token_key) }

const observed = (
  { database, sketches }: Core['stores'],
  { timed }: Prometheus,
): Pick<Core['stores'], 'database' | 'sketches'> => {
  const timedAlone = timed(sketches.name, 'add', async (adding: Promise<void>) => adding)
  return {
    database: {
      ...database,
      transaction: timed(database.engine, 'transaction', database.transaction),
      run: timed(database.engine, 'statement', database.run),
    },
    sketches: {
      ...sketches,
      add: timed(sketches.name, 'add', sketches.add),
      addAlone: (additions) => {
        const adding = sketches.addAlone(additions)
        return adding && timedAlone(adding)
      },
      count: timed(sketches.name, 'count', sketches.count),
    },
  }
}

const pingAge = async ({ stores, now }: Core): Promise<number | undefined> => {
  const newest = await newestPing(stores.database)
  return newest && (now().getTime() - newest.recordedAt.getTime()) / 1000
}

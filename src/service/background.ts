import type { Logger } from 'pino'
import { resolveUsers } from '../counters/resolve-users.js'
import { createReadBack, type ReadBack } from '../inventory/read-back/read-back.js'
import { scheduledReconcile } from '../inventory/reconcile/scheduled.js'
import { createSummarize } from '../inventory/summary/summarize.js'
import { startJobs } from '../runtime/jobs.js'
import { within } from '../runtime/timeout.js'
import { sketchWarnings } from '../schema/bound-sketches.js'
import { trustInClock } from '../schema/seen-at.js'
import { writeServiceHeartbeat } from '../schema/service-heartbeat.js'
import { checkUsersKey } from '../schema/users-key.js'
import type { Occurrence } from '../storage/kept-job.js'
import { evictionWarnings } from '../storage/sketches/eviction-warnings.js'
import { deleteOtherSchedules } from '../storage/sql/schedules.js'
import type { Core } from './core.js'
import { createJobRests, onJobError, restWarnings, type JobRests } from './job-rests.js'
import { jobsFor } from './job-table.js'
import type { Recording } from './recording.js'

/** What the service does at set times, and after its start. */
export type Background = {
  /** With the embedded database. */
  rests: JobRests | undefined
  /** Computes the summary of the inventory, if it is older than the last event. */
  summarizeNow: ReturnType<typeof createSummarize>['now']
  /** Finishes erasures that ended early. To be called once, when the service answers. */
  finishErasures: () => Promise<void>
  /** Asks everything that runs to end. */
  stop: () => void
  /** Waits for what runs, but not for long. To be called after `stop`. */
  ended: () => Promise<void>
}

/** Jobs that are under way get this long when the service stops. */
const JOBS_PATIENCE_MS = 1_500

/** Starts the jobs, and logs what was found that may keep them from their work. */
export const startBackground = async (core: Core, recording: Recording, log: Logger): Promise<Background> => {
  const { stores, now } = core
  const readBack = createServiceReadBack(core)
  const stopping = new AbortController()
  const { now: summarizeNow, whenDue: summarize, stop: stopSummary } = createSummarize(stores.database, now)
  const allJobs = jobsFor(core, {
    ...recording,
    resolve: async () => resolveUsers(usersDeps(core, recording)),
    readBack: readBack.run,
    reconcile: createReconcile(core, stopping.signal),
    summarize,
  })
  await deleteOtherSchedules(
    stores.database.sql,
    allJobs.map(({ name }) => name),
  )
  await showService(core)
  const rests = stores.lock && createJobRests(core.config.data_dir, now)
  for (const warning of restWarnings(rests?.noted ?? [], now())) log.warn(warning)
  const unsteadyMs = await checkAtStart(core, recording, log)
  const jobs = startJobs(allJobs, { ...rests, unsteadyMs, onError: onJobError(rests, log) })
  const finishErasures = createFinishErasures(core, recording, log)
  let erasing = Promise.resolve()
  let stopped: Promise<unknown> = Promise.resolve()
  return {
    rests,
    summarizeNow,
    finishErasures: async () => (erasing = finishErasures()),
    stop: () => {
      core.giveUpPings()
      readBack.stop()
      stopping.abort()
      stopped = jobs.stop()
    },
    ended: async () => {
      // A dump may take longer; it is made again another day, and a job that is cut off does all that is due next time.
      await within(JOBS_PATIENCE_MS, Promise.all([stopped, erasing])).catch(() => undefined)
      const released = Promise.all([recording.pulls.releaseProvisional(), stopSummary()])
      await within(JOBS_PATIENCE_MS, released).catch(() => undefined)
    },
  }
}

const usersDeps = (
  { config, rules, now }: Core,
  { database, sketches, repositories, directory }: Recording,
): Parameters<typeof resolveUsers>[0] => ({
  ...{ database, sketches, rules, repositories, now },
  lifetimes: config.lifetimes,
  idOf: directory.idOf,
})

const createServiceReadBack = ({ stores, registries, clientFor, now }: Core): ReadBack =>
  createReadBack({
    database: stores.database,
    registries,
    clientFor: (name) => {
      const registry = registries.list().find((one) => one.name === name && one.url !== undefined && one.cache !== true)
      return registry && clientFor(registry)
    },
    now,
  })

const createReconcile =
  ({ config, stores, registries, clientFor, now }: Core, signal: AbortSignal) =>
  async ({ due }: Occurrence): Promise<'done' | 'later'> =>
    scheduledReconcile({ database: stores.database, registries, clientFor, now, signal }, config.reconcile_apply, due)

/** Lets commands and other processes see that a service runs. The embedded database has a lock for that. */
const showService = async ({ stores, holder, fingerprint }: Core): Promise<void> => {
  if (stores.lock) return
  await writeServiceHeartbeat(stores.database, holder)
  // Another process may have renewed the key before it could see the sign.
  await checkUsersKey(stores.database.sql, fingerprint)
}

/** @returns how long jobs that delete old data wait, in milliseconds */
const checkAtStart = async (
  { config, stores, installation, now }: Core,
  { clock }: Recording,
  log: Logger,
): Promise<number> => {
  const { uuid } = installation
  const { lifetimes } = config
  for (const warning of await sketchWarnings({ ...stores, uuid, now: now(), lifetimes })) log.warn(warning)
  for (const warning of await evictionWarnings(stores.sketches)) log.warn(warning)
  for (const warning of await clock.warnings()) log.warn(warning)
  const { waitMs, lastSeenAt } = await trustInClock(stores.database.sql, now())
  if (lastSeenAt)
    log.warn(
      { lastSeenAt },
      'no service ran for more than a day, or the clock is ahead: nothing old is deleted for a day',
    )
  return waitMs
}

const createFinishErasures =
  ({ stores }: Core, { pulls }: Recording, log: Logger) =>
  async (): Promise<void> => {
    await pulls.finishErasures().catch((error: unknown) => {
      log.error({ err: error }, 'an erasure is not finished; the service tries again within two hours')
    })
    await stores.dumps?.replaceMarked()
  }

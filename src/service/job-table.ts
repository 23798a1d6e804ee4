import type { Config } from '../config/config.js'
import type { Core } from './core.js'
import { expireReceptions } from '../ingest/receptions-table.js'
import type { Receptions } from '../ingest/receptions.js'
import { eraseActors } from '../inventory/record/erase-actors.js'
import { expireLookups } from '../inventory/record/join-lookups.js'
import { keptSchedule, type Job } from '../runtime/jobs.js'
import { deleteExpiredRows, type Retention } from './expire-rows.js'
import type { ComparedClock } from './open-clock.js'
import type { Pulls } from './open-pulls.js'
import { PING } from '../ping/service-ping.js'
import { moveAliases } from '../pulls/aliases/move-aliases.js'
import { createSettleTurns, settle } from './reorder.js'
import { runIfDue, type Occurrence } from '../storage/kept-job.js'
import { noteSeen } from '../schema/seen-at.js'
import { writeServiceHeartbeat } from '../schema/service-heartbeat.js'

const EVERY_MINUTE = '* * * * *'
const OLD = { deletesOld: true }

/** The work of jobs that needs further parts of the service. */
type Work = {
  receptions: Receptions
  clock: Pick<ComparedClock, 'compare'>
  rebuildStale: () => Promise<void>
  resolve: () => Promise<number>
  readBack: () => Promise<number>
  /** Returns `later` if another process reconciles a registry, or if the process stops. */
  reconcile: (occurrence: Occurrence) => Promise<'done' | 'later'>
  summarize: () => Promise<void>
  pulls: Pulls
}

/** How long the database keeps rows that only the recognition of events and the counters need. */
export const retentionOf = (config: Config): Retention => ({
  eventIdDays: config.event_id_days,
  rejectedEventDays: config.rejected_event_days,
  rejectedEvents: 100_000,
  unresolvedUserDays: config.weekly_lifetime_days,
})

const RECEPTIONS = { days: 365, most: 10_000 }

/** All scheduled jobs; docs/architecture.md explains each. */
export const jobsFor = (
  { config, stores, rules, identity, registries, pings, holder, now }: Core,
  { receptions, clock, rebuildStale, resolve, readBack, reconcile, summarize, pulls }: Work,
): Job[] => {
  const retention = retentionOf(config)
  const { database } = stores
  const turns = createSettleTurns()
  /**
   * A rare job must not miss its time: the next time is far away, and a process that is stopped every night would miss all of
   * them.
   */
  const kept = (name: string, cron: string, run: (occurrence: Occurrence) => Promise<unknown>): Job => ({
    name,
    cron: EVERY_MINUTE,
    run: async () =>
      runIfDue({ database, holder, now }, keptSchedule(name, { cron }), async (occurrence) =>
        (await run(occurrence)) === 'later' ? 'later' : 'done',
      ),
  })
  return [
    ...(config.ping_enabled ? [{ name: PING, cron: EVERY_MINUTE, run: pings.makeDue }] : []),
    { name: 'deliver pings', cron: EVERY_MINUTE, run: pings.retry },
    { name: 'write receptions', cron: '*/10 * * * * *', run: receptions.flush },
    { name: 'write senders', cron: '*/10 * * * * *', run: identity.flush },
    { name: 'refresh registries', cron: '*/10 * * * * *', run: identity.refresh },
    // Not needed with the embedded database: there, the lock of the data directory shows that a service runs.
    ...(stores.lock
      ? []
      : [
          { name: 'show service', cron: '*/10 * * * * *', run: async () => writeServiceHeartbeat(database, holder) },
          { name: 'compare clocks', cron: '*/10 * * * * *', run: clock.compare },
        ]),
    { name: 'resolve users', cron: '*/15 * * * * *', run: resolve },
    { name: 'read manifests', cron: '*/5 * * * * *', run: readBack },
    { name: 'rebuild stale sketches', cron: '*/10 * * * * *', run: rebuildStale },
    {
      name: 'settle',
      cron: '*/10 * * * * *',
      run: async () => {
        await identity.refresh()
        const { database, sketches } = stores
        await settle({
          database,
          sketches,
          rules,
          lifetimes: config.lifetimes,
          aliases: registries.aliases(),
          now,
          turns,
        })
      },
    },
    {
      name: 'move pulls',
      cron: '*/10 * * * * *',
      run: async () => {
        await identity.refresh()
        await moveAliases({ database, windows: config.windows }, registries.aliases())
      },
    },
    { name: 'fold pulls', cron: '*/10 * * * * *', run: pulls.fold },
    { name: 'fold days of files', cron: '*/10 * * * * *', run: pulls.foldDays },
    { name: 'fold provisional pulls', cron: '*/5 * * * * *', run: pulls.foldProvisional },
    { ...OLD, name: 'note time', cron: EVERY_MINUTE, run: async () => noteSeen(database.sql, now()) },
    { ...OLD, name: 'rotate salts', cron: '* * * * *', run: pulls.rotateSalts },
    { ...OLD, name: 'roll up pulls', cron: '*/10 * * * *', run: pulls.rollUp },
    { ...OLD, name: 'forget pulls', cron: '31 * * * *', run: pulls.forget },
    { name: 'summarize', cron: '*/15 * * * * *', run: summarize },
    {
      ...OLD,
      name: 'forget',
      cron: '23 * * * *',
      run: async () => deleteExpiredRows(stores.database, retention, now()),
    },
    {
      ...OLD,
      name: 'forget receptions',
      cron: '25 * * * *',
      run: async () => expireReceptions(stores.database, RECEPTIONS, now()),
    },
    { ...OLD, name: 'forget senders', cron: '24 * * * *', run: identity.expire },
    { ...OLD, name: 'forget lookups', cron: '26 * * * *', run: async () => expireLookups(stores.database, now()) },
    { ...OLD, ...kept('forget actors', '29 3 * * *', async () => eraseActors(database, config.actor_days, now())) },
    ...(config.reconcile_cron === undefined ? [] : [kept('reconcile', config.reconcile_cron, reconcile)]),
    ...(stores.checkpointIfDue ? [{ name: 'checkpoint', cron: EVERY_MINUTE, run: stores.checkpointIfDue }] : []),
    ...(stores.vacuum ? [kept('vacuum', '53 3 * * *', stores.vacuum)] : []),
    ...(stores.dumps ? [kept('dump', '41 3 * * *', stores.dumps.write)] : []),
  ]
}

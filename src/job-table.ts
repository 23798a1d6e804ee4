import type { Core } from './core.js'
import { forgetOld } from './counters/retention.js'
import type { Receptions } from './ingest/receptions.js'
import { forgetActors } from './inventory/record/forget-actors.js'
import { forgetLookups } from './inventory/record/join-lookups.js'
import type { Job } from './jobs.js'
import type { Pulls } from './open-pulls.js'
import { settle } from './settle.js'

/** What jobs do that has to be joined with other parts first. */
type Work = {
  receptions: Receptions
  rebuildStale: () => Promise<void>
  resolve: () => Promise<number>
  readBack: () => Promise<number>
  reconcile: () => Promise<void>
  summarize: () => Promise<void>
  pulls: Pulls
}

/** All that is done at set times; docs/architecture.md explains each. */
export const jobsFor = (
  { config, stores, registries, pings, pingSchedule, now }: Core,
  { receptions, rebuildStale, resolve, readBack, reconcile, summarize, pulls }: Work,
): Job[] => {
  const retention = {
    eventIdDays: config.event_id_days,
    rejectedEventDays: config.rejected_event_days,
    rejectedEvents: 100_000,
    receptionDays: 365,
    receptions: 10_000,
    unresolvedUserDays: config.weekly_lifetime_days,
  }
  return [
    ...(config.ping_enabled ? [{ name: 'ping', ...pingSchedule, run: pings.scheduled }] : []),
    { name: 'deliver pings', cron: '* * * * *', run: pings.retry },
    { name: 'write receptions', cron: '*/10 * * * * *', run: receptions.flush },
    { name: 'resolve users', cron: '*/15 * * * * *', run: resolve },
    { name: 'read manifests', cron: '*/5 * * * * *', run: readBack },
    { name: 'rebuild stale sketches', cron: '*/10 * * * * *', run: rebuildStale },
    {
      name: 'settle',
      cron: '*/10 * * * * *',
      run: async () =>
        settle({ database: stores.database, windows: config.windows, aliases: registries.aliases(), now: now() }),
    },
    { name: 'fold pulls', cron: '*/10 * * * * *', run: pulls.fold },
    { name: 'rotate salts', cron: '* * * * *', run: pulls.rotateSalts },
    { name: 'roll up pulls', cron: '*/10 * * * *', run: pulls.rollUp },
    { name: 'forget pulls', cron: '31 * * * *', run: pulls.forget },
    { name: 'summarize', cron: '*/15 * * * * *', run: summarize },
    { name: 'forget', cron: '23 * * * *', run: async () => forgetOld(stores.database, retention, now()) },
    { name: 'forget lookups', cron: '26 * * * *', run: async () => forgetLookups(stores.database, now()) },
    {
      name: 'forget actors',
      cron: '29 3 * * *',
      run: async () => forgetActors(stores.database, config.actor_days, now()),
    },
    ...(config.reconcile_cron === undefined
      ? []
      : [{ name: 'reconcile', cron: config.reconcile_cron, run: reconcile }]),
    ...(stores.dump ? [{ name: 'dump', cron: '41 3 * * *', run: stores.dump }] : []),
  ]
}

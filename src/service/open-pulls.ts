import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Config } from '../config/config.js'
import { originsBy, placesBy, saltWindowBy } from './anonymous-requesters.js'
import type { Core } from './core.js'
import { addTallies, JOINED, JOINED_LATE, reasonTally } from '../counters/tallies.js'
import { MICROS_PER_SECOND, microsOf, utcDay } from '../events/calendar.js'
import { finishErasures } from '../pulls/roll-up/erase.js'
import { foldPending } from '../pulls/fold-job/fold-pending.js'
import { createProvisionalFold } from '../pulls/provisional/fold-provisional.js'
import { unfinishedErasures } from '../pulls/erasures/noted-erasures.js'
import { releaseRun } from '../pulls/provisional/provisional-run.js'
import { stepAside } from '../pulls/fold-job/step-aside.js'
import { foldDays } from '../pulls/day-fold/fold-days.js'
import { expireRequests } from '../pulls/fold-job/take-requests.js'
import { expireSegments } from '../pulls/roll-up/expire-segments.js'
import { expireOutcomes } from '../pulls/roll-up/expire-outcomes.js'
import { rollUp } from '../pulls/roll-up/roll-up.js'
import { settleSilent } from '../pulls/roll-up/settle-silent.js'
import { summarizePulls } from '../pulls/roll-up/summarize.js'
import type { PullsContext } from '../pulls/query/notes.js'
import { createPendingOf, type PendingOf } from '../pulls/requests/pending-of.js'
import { createSaltFiles } from '../requesters/salt-files.js'
import { createSaltTable, moveSalts } from '../requesters/salt-table.js'
import { createSalts, newSalt, type Salts, type SaltStore } from '../requesters/salts.js'
import { keepWindows } from '../pulls/requests/join-window-history.js'
import type { Database } from '../storage/sql/database.js'
import { eraseAlsoFrom } from '../storage/embedded/dumps.js'
import { createStepSizes } from '../storage/sql/step-sizes.js'

/** The functions of the service for pulls: storing requests as they arrive, and folding them. */
export type Pulls = {
  pendingOf: PendingOf
  /** The salt of a moment, for keyed hashes of clients. */
  saltAt: Salts['at']
  rotateSalts: () => Promise<void>
  fold: () => Promise<void>
  /** Folds the days that requests of files have changed. */
  foldDays: () => Promise<void>
  /** Folds the requests that arrived since the last call, so that answers contain them before they are settled. */
  foldProvisional: () => Promise<void>
  /** Lets another process take over the provisional fold at once. */
  releaseProvisional: () => Promise<void>
  rollUp: () => Promise<void>
  forget: () => Promise<void>
  /** Finishes erasures that were interrupted. */
  finishErasures: () => Promise<void>
  /** The settings and data, other than the requests, on which the numbers depend. */
  context: PullsContext
}

/** An import folds the days that it has changed. If it has not done so for a minute, it was interrupted. */
const IMPORT_PAUSE_MS = 60_000

/** An erasure that began longer ago has been interrupted. */
const LONGEST_ERASURE_MINUTES = 60

/**
 * The settings and data, other than the requests, on which the numbers depend.
 * @throws PlacesError
 */
export const contextBy = (config: Config, { stamps } = placesBy(config)): PullsContext => ({
  rotation: config.pulls_salt_rotation,
  stamps,
  minimumGroupSize: config.pulls_least_pullers,
  lateness: config.pulls_lateness_seconds * MICROS_PER_SECOND,
})

export const openPulls = async (core: Core, database: Database): Promise<Pulls> => {
  const { config, secrets, clientOf, now } = core
  const { windows } = config
  const lateness = config.pulls_lateness_seconds * MICROS_PER_SECOND
  const salts = await createSalts({
    store: await openSaltStore(core, database),
    rotation: config.pulls_salt_rotation,
    window: saltWindowBy(config),
    now,
    random: newSalt,
  })
  await keepWindows(database, windows, now())
  const holder = randomUUID()
  const turns = {}
  const stepSizes = createStepSizes()
  const places = placesBy(config)
  const originOf = originsBy(config, secrets.usersKey, salts)
  const finish = async (minutes: number): Promise<void> => {
    if ((await unfinishedErasures(database.jobs, minutes)).length > 0)
      await eraseAlsoFrom(core.stores.dumps, async () => finishErasures(database, minutes))
  }
  return {
    pendingOf: createPendingOf({ originOf, clientOf, placeOf: places.of }),
    saltAt: salts.at,
    rotateSalts: salts.rotate,
    fold: async () =>
      foldPending({
        database,
        windows,
        lateness,
        now,
        turns,
        stepSizes,
        onFolded: async (tx, { late, beforePush, joined, joinedLate }) => {
          const day = utcDay(microsOf(now()))
          const tallies = [
            { ...reasonTally('late_request', now()), value: late },
            { ...reasonTally('check_before_push', now()), value: beforePush },
            { name: JOINED, day, value: joined },
            { name: JOINED_LATE, day, value: joinedLate },
          ]
          await addTallies(
            tx,
            tallies.filter(({ value }) => value > 0),
          )
        },
      }),
    foldDays: async () => foldDays({ database, windows, changedBefore: new Date(now().getTime() - IMPORT_PAUSE_MS) }),
    foldProvisional: stepAside(createProvisionalFold({ database, windows, now, holder })),
    releaseProvisional: async () => releaseRun(database.jobs, holder),
    rollUp: async () => {
      try {
        await settleSilent(database, { windows, lateness, days: config.pulls_detail_days, now: now() })
      } finally {
        await rollUp({ database, windows })
        await summarizePulls(database)
      }
    },
    context: contextBy(config, places),
    forget: async () => {
      await expireRequests(database, config.pulls_request_days, now())
      await expireSegments({ jobs: database.jobs, windows }, config.log_request_days, now())
      await expireOutcomes(database, config.pulls_detail_days, now())
      await finish(LONGEST_ERASURE_MINUTES)
    },
    finishErasures: async () => finish(0),
  }
}

/** Files for the embedded database, which only one process uses; otherwise a table that all processes share. */
const openSaltStore = async ({ config }: Core, database: Database): Promise<SaltStore> => {
  if (database.engine === 'postgresql') return createSaltTable(database)
  const files = createSaltFiles(join(config.data_dir, 'salts'))
  await moveSalts(database, files)
  return files
}

import type { Logger } from 'pino'
import { createRepositories, type Repositories } from '../counters/repositories.js'
import { createTrack, type Track } from '../counters/track.js'
import type { Prometheus } from '../http/prometheus.js'
import { createIngest, type Ingest } from '../ingest/ingest.js'
import { createReceptions, type Receptions } from '../ingest/receptions.js'
import { createIsOwnRead } from '../registries/own-reads.js'
import { createLookupOriginOf } from '../requesters/lookup-origin.js'
import { isStorageUnavailable } from '../storage/unavailable.js'
import type { Core } from './core.js'
import type { DroppedLines } from './log-output.js'
import { openClock, type ComparedClock } from './open-clock.js'
import { openIdentification, type Identification } from './identification.js'
import { createServicePrometheus, observeStores } from './observed-stores.js'
import { openPulls, type Pulls } from './open-pulls.js'

/** What records the events that arrive. */
export type Recording = Pick<Core['stores'], 'database' | 'sketches'> &
  Pick<Identification, 'directory' | 'hashed' | 'identifyName'> & {
    ingest: Ingest['ingest']
    /** Resolves when all that was taken is stored. */
    idle: Ingest['idle']
    track: Track
    rebuildStale: Repositories['rebuildStale']
    repositories: Repositories
    receptions: Receptions
    pulls: Pulls
    clock: ComparedClock
    prometheus: Prometheus
  }

/** Opens the directory of users and the files of pulls, and joins the parts that record. */
export const openRecording = async (core: Core, log: Logger, droppedLines: () => DroppedLines): Promise<Recording> => {
  const { rules, secrets, stores, registries, now } = core
  const { lifetimes } = core.config
  const prometheus = createServicePrometheus(core, () => droppedLines().lines)
  const { database, sketches } = observeStores(stores, prometheus)
  const repositories = createRepositories({ database, sketches, rules, lifetimes })
  await rebuildAtStart(repositories, log)
  const { identify, ...users } = await openIdentification(core, log)
  const pulls = await openPulls(core, database)
  stores.dumps?.onNotice((notice) => {
    log.warn({ notice }, 'files of the embedded database need attention')
  })
  await stores.dumps?.finishErasures()
  const clock = await openClock(core)
  const { ingest, idle } = createIngest({
    database,
    sketches,
    rules,
    lifetimes,
    repositories,
    identify,
    lookupOriginOf: createLookupOriginOf(secrets.usersKey, pulls.saltAt),
    pendingOf: pulls.pendingOf,
    isOwnRead: createIsOwnRead(secrets.usersKey, registries),
    now: clock.now,
    recorded: clock.recorded,
    onBatch: prometheus.batch,
  })
  const claimed = onceClaimed(core)
  return {
    ...{ database, sketches, repositories, prometheus, pulls, clock, idle },
    ...users,
    rebuildStale: repositories.rebuildStale,
    receptions: createReceptions(database, now),
    ingest: claimed(ingest),
    track: claimed(createTrack({ database, sketches, rules, lifetimes, now })),
  }
}

const rebuildAtStart = async ({ rebuildStale }: Repositories, log: Logger): Promise<void> =>
  rebuildStale().catch((error: unknown) => {
    if (isStorageUnavailable(error)) throw error
    // The job tries again.
    log.error(
      { err: error },
      'some sketches cannot be rebuilt yet: their counts may include first events that were not the first',
    )
  })

/** Lets work that counts users wait until the database is bound to the users key. */
const onceClaimed =
  ({ claimUsersKey }: Core) =>
  <Given extends unknown[], Result>(work: (...given: Given) => Promise<Result>) =>
  async (...given: Given): Promise<Result> => {
    const claiming = claimUsersKey()
    if (claiming) await claiming
    return work(...given)
  }

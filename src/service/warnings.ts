import { readBlockedJobs, restWarnings } from './job-rests.js'
import type { Core } from './core.js'
import { openClock, type ComparedClock } from './open-clock.js'
import { openDirectoryWarnings } from './data-directory-mode.js'
import { otherStoreWarnings } from './other-store.js'
import type { DumpState } from '../storage/embedded/dumps.js'
import { largeTables, usesManyTransactionIds } from '../storage/embedded/vacuum.js'
import { sketchWarnings } from '../schema/bound-sketches.js'
import { evictionWarnings } from '../storage/sketches/eviction-warnings.js'
import { encodingWarnings } from '../storage/sql/encoding.js'
import { erasureWarnings } from '../storage/sql/erasure-warnings.js'
import { warningsOfRole } from '../storage/sql/read-only-role.js'
import { tokenNameWarnings } from './token-name-warnings.js'
import { tokenWarnings } from './token-warnings.js'
import { unusedTokenWarnings } from './unused-token.js'

type Warned = Pick<Core, 'config' | 'secrets' | 'tokenNames' | 'identity' | 'installation' | 'now'> & {
  stores: Pick<Core['stores'], 'database' | 'sketches' | 'dumps'>
}

/** Warnings about the settings, the rights and the database of this installation, one sentence each. */
export const settingWarnings = async (core: Warned): Promise<string[]> => [
  ...tokenWarnings(core),
  ...tokenNameWarnings(core),
  ...openDirectoryWarnings(core.config.data_dir),
  ...unusedTokenWarnings(core.config),
  ...(await warningsOfRole(core.stores.database)),
  ...(await encodingWarnings(core.stores.database)),
]

/** All warnings for the operator, one sentence each: first about the setup, then about stored data. */
export const readWarnings = async (core: Core, clock?: ComparedClock): Promise<string[]> => {
  const { database, dumps } = core.stores
  const warnings = await Promise.all([
    settingWarnings(core),
    sketchWarnings({ ...core.stores, uuid: core.installation.uuid, now: core.now(), lifetimes: core.config.lifetimes }),
    evictionWarnings(core.stores.sketches),
    clock ? clock.warnings() : openClock(core).then(({ warnings }) => warnings()),
    erasureWarnings(database),
    dumps?.state().then(dumpWarnings) ?? [],
    largeTables(database).then((names) => names.map(largeTableWarning)),
    usesManyTransactionIds(database).then((isTrue) => (isTrue ? [TRANSACTION_IDS] : [])),
  ])
  const now = core.now()
  const blocked = database.engine === 'pglite' ? readBlockedJobs(core.config.data_dir, now) : []
  return [...restWarnings(blocked, now), ...otherStoreWarnings(core.config), ...warnings.flat()]
}

const dumpWarnings = ({ failedAt, error, lastAt }: DumpState): string[] =>
  failedAt === null
    ? []
    : [
        `the newest dump is of ${lastAt?.toISOString() ?? 'no time: there is none'}; ` +
          `the attempt of ${failedAt.toISOString()} failed: ${error ?? ''}`,
      ]

const TRANSACTION_IDS =
  'the embedded database has used half of its transaction ids, and accepts no writes once it has used all of them: use PostgreSQL'

const largeTableWarning = (name: string): string =>
  `the table ${name} is too large to be vacuumed by the embedded database, so space of deleted rows is not used again: use PostgreSQL`

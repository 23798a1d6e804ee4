import { isNativeError } from 'node:util/types'
import { Migrator, sql, type Kysely } from 'kysely'
import { counters } from './migrations/0001-counters.js'
import { inventory } from './migrations/0002-inventory.js'
import { regstat } from './migrations/0003-regstat.js'
import { reconciliations } from './migrations/0004-reconciliations.js'
import { inventorySummary } from './migrations/0005-inventory-summary.js'
import { pulls } from './migrations/0006-pulls.js'
import { pullSummaries } from './migrations/0007-pull-summaries.js'
import { pullChains } from './migrations/0008-pull-chains.js'
import { pullBehaviours } from './migrations/0009-pull-behaviours.js'
import { pullPreviousNames } from './migrations/0010-pull-previous-names.js'
import { pullWindows } from './migrations/0011-pull-windows.js'
import { registryIdentity } from './migrations/0012-registry-identity.js'
import { knownAndUnknown } from './migrations/0013-known-and-unknown.js'
import { regstatHistory } from './migrations/0014-regstat-history.js'
import { provisionalPulls } from './migrations/0015-provisional-pulls.js'
import { schedules } from './migrations/0016-schedules.js'
import { stateTimes } from './migrations/0017-state-times.js'
import { uses } from './migrations/0018-uses.js'
import { certainUnused } from './migrations/0019-certain-unused.js'
import { lookupsAndViews } from './migrations/0020-lookups-and-views.js'
import { registryRemovals } from './migrations/0022-registry-removals.js'
import { narrowWrites } from './migrations/0024-narrow-writes.js'
import { actorNames } from './migrations/0026-actor-names.js'
import { eraseTraces } from './migrations/0027-erase-traces.js'
import { UserError } from '../runtime/user-error.js'
import { createStatement, readEncoding, UTF8, type DatabaseEncoding } from '../storage/sql/encoding.js'
import { prepareReadOnlyRole } from '../storage/sql/read-only-role.js'
import { catalogError } from './migrations/0030-catalog-error.js'
import { cleanExcerpts } from './migrations/0031-clean-excerpts.js'
import { erasureMarks } from './migrations/0033-erasure-marks.js'
import { contestedContents } from './migrations/0034-contested-contents.js'
import { reconciledUnknowns } from './migrations/0035-reconciled-unknowns.js'
import { stoppedReconciliations } from './migrations/0036-stopped-reconciliations.js'
import { smallerIndexes } from './migrations/0037-smaller-indexes.js'
import { boundedMarks } from './migrations/0038-bounded-marks.js'
import { eventIdScope } from './migrations/0040-event-id-scope.js'
import { statedContents } from './migrations/0041-stated-contents.js'
import { openMoves } from './migrations/0042-open-moves.js'
import { markedEventIds } from './migrations/0043-marked-event-ids.js'
import { typedUnknowns } from './migrations/0045-typed-unknowns.js'
import { boundedSettling } from './migrations/0048-bounded-settling.js'
import { rollingDays } from './migrations/0049-rolling-days.js'
import { repositoryMerges } from './migrations/0050-repository-merges.js'
import { movedPortions } from './migrations/0051-moved-portions.js'
import { notedErasures } from './migrations/0052-noted-erasures.js'
import { silences } from './migrations/0053-silences.js'
import { heardDays } from './migrations/0054-heard-days.js'
import { boundSketches } from './migrations/0055-bound-sketches.js'
import { seenAt } from './migrations/0056-seen-at.js'
import { longSummaryValues } from './migrations/0057-long-summary-values.js'
import { unusedNumbers } from './migrations/0058-unused-numbers.js'
import { unresolvedIndexes } from './migrations/0059-unresolved-indexes.js'
import { undecidedRequests } from './migrations/0060-undecided-requests.js'
import { logFiles } from './migrations/0063-log-files.js'
import { setAsideEvents } from './migrations/0061-set-aside-events.js'
import { processesOfRegistries } from './migrations/0062-processes-of-registries.js'

/** All migrations, in the order of their names. The name of a released migration never changes. */
export const MIGRATIONS = {
  '0001-counters': counters,
  '0002-inventory': inventory,
  '0003-regstat': regstat,
  '0004-reconciliations': reconciliations,
  '0005-inventory-summary': inventorySummary,
  '0006-pulls': pulls,
  '0007-pull-summaries': pullSummaries,
  '0008-pull-chains': pullChains,
  '0009-pull-behaviours': pullBehaviours,
  '0010-pull-previous-names': pullPreviousNames,
  '0011-pull-windows': pullWindows,
  '0012-registry-identity': registryIdentity,
  '0013-known-and-unknown': knownAndUnknown,
  '0014-regstat-history': regstatHistory,
  '0015-provisional-pulls': provisionalPulls,
  '0016-schedules': schedules,
  '0017-state-times': stateTimes,
  '0018-uses': uses,
  '0019-certain-unused': certainUnused,
  '0020-lookups-and-views': lookupsAndViews,
  '0022-registry-removals': registryRemovals,
  '0024-narrow-writes': narrowWrites,
  '0026-actor-names': actorNames,
  '0027-erase-traces': eraseTraces,
  '0030-catalog-error': catalogError,
  '0031-clean-excerpts': cleanExcerpts,
  '0033-erasure-marks': erasureMarks,
  '0034-contested-contents': contestedContents,
  '0035-reconciled-unknowns': reconciledUnknowns,
  '0036-stopped-reconciliations': stoppedReconciliations,
  '0037-smaller-indexes': smallerIndexes,
  '0038-bounded-marks': boundedMarks,
  '0040-event-id-scope': eventIdScope,
  '0041-stated-contents': statedContents,
  '0042-open-moves': openMoves,
  '0043-marked-event-ids': markedEventIds,
  '0045-typed-unknowns': typedUnknowns,
  '0048-bounded-settling': boundedSettling,
  '0049-rolling-days': rollingDays,
  '0050-repository-merges': repositoryMerges,
  '0051-moved-portions': movedPortions,
  '0052-noted-erasures': notedErasures,
  '0053-silences': silences,
  '0054-heard-days': heardDays,
  '0055-bound-sketches': boundSketches,
  '0056-seen-at': seenAt,
  '0057-long-summary-values': longSummaryValues,
  '0058-unused-numbers': unusedNumbers,
  '0059-unresolved-indexes': unresolvedIndexes,
  '0060-undecided-requests': undecidedRequests,
  '0063-log-files': logFiles,
  '0061-set-aside-events': setAsideEvents,
  '0062-processes-of-registries': processesOfRegistries,
}

const provider = { getMigrations: async () => Promise.resolve(MIGRATIONS) }

/** A newer version has used this database, which has migrations that this version does not know. */
class NewerDatabase extends UserError {
  override readonly kind = 'setup'
  constructor(migration: string) {
    super(
      `this database was used by a newer version of Tallyman: it has the migration ${migration}, which this ` +
        'version does not know; use the newer version, or restore a dump that was made before the upgrade',
    )
  }
}

/** A new installation would lose the events whose characters the encoding of the database lacks. */
class OtherEncoding extends UserError {
  override readonly kind = 'setup'
  constructor({ name, encoding }: DatabaseEncoding) {
    super(
      `the database ${name} has the encoding ${encoding}, which cannot store every text of a registry; expected ${UTF8}: ` +
        `create another database with "${createStatement('NAME')}", and name it in DATABASE_URL`,
    )
  }
}

/** An installation of an earlier version still starts on any encoding, with a warning (storage/sql/encoding.ts). */
const refuseOtherEncoding = async (db: Kysely<unknown>): Promise<void> => {
  const found = await readEncoding(db)
  if (found.encoding === UTF8) return
  const migrations = await new Migrator({ db, provider }).getMigrations()
  if (migrations.every(({ executedAt }) => executedAt === undefined)) throw new OtherEncoding(found)
}

/** Kysely refuses a database with a migration that it does not know, and one whose migrations are in another order. */
const toSentence = async (db: Kysely<unknown>, error: Error): Promise<Error> => {
  if (!error.message.startsWith('corrupted migrations')) return error
  const { rows } = await sql<{ name: string }>`
    select name from kysely_migration where name <> all (${Object.keys(MIGRATIONS)}::text[]) order by name desc limit 1
  `.execute(db)
  return rows[0] ? new NewerDatabase(rows[0].name) : error
}

/** Whether `migrate` would apply a migration. */
export const hasPendingMigrations = async (db: Kysely<unknown>): Promise<boolean> => {
  const migrations = await new Migrator({ db, provider }).getMigrations()
  return migrations.some(({ executedAt }) => executedAt === undefined)
}

/**
 * Applies all pending migrations, and grants the role for operators' statements the right to read the schema. Several processes may
 * call it at once: one works, the others wait.
 * @returns the names of the applied migrations
 * @throws NewerDatabase; OtherEncoding if the database has no migrations yet and is not UTF8
 */
export const migrate = async (db: Kysely<unknown>): Promise<string[]> => {
  await refuseOtherEncoding(db)
  const { error, results = [] } = await new Migrator({ db, provider }).migrateToLatest()
  if (error !== undefined)
    throw error instanceof Error || isNativeError(error)
      ? await toSentence(db, error)
      : new Error('the migration failed')
  await prepareReadOnlyRole(db)
  return results.map(({ migrationName }) => migrationName)
}

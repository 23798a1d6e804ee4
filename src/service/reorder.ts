import type { CountingDeps } from '../counters/additions.js'
import { mergeRepositories } from '../counters/merge-repositories.js'
import { mergeReceptions } from '../ingest/receptions-table.js'
import { eachAlone } from '../storage/each-alone.js'
import { isOver, waitOf } from '../runtime/wait.js'
import { createStepSizes, type StepSizes } from '../storage/sql/step-sizes.js'
import { closeDeleted } from '../inventory/record/close-deleted.js'
import { propagateNotedBlobs } from '../inventory/record/propagate-noted-blobs.js'
import { finishAliasMoves } from '../inventory/record/finish-moves.js'
import { joinLookups } from '../inventory/record/join-lookups.js'
import { mergeAliases } from '../inventory/record/merge-aliases.js'
import { storeAliases } from '../inventory/record/registry-aliases.js'
import { carryOutRenames, createRenameTurns, type RenameTurns } from '../inventory/record/renames.js'
import { retractEntries } from '../inventory/record/retract-entries.js'
import { settleChecks } from '../inventory/record/settle-checks.js'

/**
 * For so many days after a rename, events from before the rename are moved. Later events do not count, because their ids have
 * expired.
 */
const LATE_DAYS = 14
/**
 * The time limit in milliseconds of renames in one run. It is less than half of the time until the next run, because a rename may
 * take hours.
 */
const RENAMES_MS = 4_000

/** The positions at which the last run of this process stopped. */
export type SettleTurns = { renames: RenameTurns; noted: { digest?: string }; stepSizes: StepSizes }

export const createSettleTurns = (): SettleTurns => ({
  renames: createRenameTurns(),
  noted: {},
  stepSizes: createStepSizes(),
})

type SettleDeps = CountingDeps & {
  /** The aliases of registries, each with the name of its registry. */
  aliases: ReadonlyMap<string, string>
  now: () => Date
  turns?: SettleTurns
}

/**
 * Does the work that needs more than one event: moves data from aliases and after renames, closes the contents of deleted
 * repositories, propagates the blobs of large manifests, joins HEADs by tag with GETs by digest, and settles HEADs that are no
 * part of a push. A separate job moves the pulls of an alias (pulls/aliases/move-aliases.ts), because moving years of pulls takes
 * an hour.
 * @throws AggregateError if parts failed; the others were done
 */
export const settle = async ({ aliases, now, turns = createSettleTurns(), ...counting }: SettleDeps): Promise<void> => {
  const { database } = counting
  const { renames, noted, stepSizes } = turns
  const since = new Date(now().getTime() - LATE_DAYS * 86_400_000)
  const parts = [
    async () => finishAliasMoves(database),
    ...(aliases.size > 0
      ? [
          async () => mergeReceptions(database, aliases),
          async () => mergeRepositories(counting, aliases),
          async () => mergeAliases(database, aliases),
        ]
      : [async () => storeAliases(database.sql, aliases)]),
    async () => closeDeleted(database),
    async () => propagateNotedBlobs(database, noted),
    async () => retractEntries(database),
    async () => joinLookups(database, stepSizes),
    async () => settleChecks(database, now()),
    // Renames come last, because their number is not limited.
    async () => {
      const turn = waitOf(RENAMES_MS, now())
      await carryOutRenames(database, { since, turns: renames, isOver: () => isOver(turn, now()) })
    },
  ]
  await eachAlone(parts, async (part) => part())
}

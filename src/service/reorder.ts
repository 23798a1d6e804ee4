import type { CountingDeps } from '../counters/additions.js'
import { mergeRepositories } from '../counters/merge-repositories.js'
import { mergeReceptions } from '../ingest/receptions-table.js'
import { eachAlone } from '../storage/each-alone.js'
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

/** How long after a rename earlier events are still moved: no event counts that arrives after its id has expired. */
const LATE_DAYS = 14
/** Milliseconds of one run for renames: less than half of the time until the next run, since a rename may take hours. */
const RENAMES_MS = 4_000

/** Where the last run of this process ended. */
export type SettleTurns = { renames: RenameTurns; noted: { digest?: string }; stepSizes: StepSizes }

export const createSettleTurns = (): SettleTurns => ({
  renames: createRenameTurns(),
  noted: {},
  stepSizes: createStepSizes(),
})

type SettleDeps = CountingDeps & {
  /** Of registries, each with the name of its registry. */
  aliases: ReadonlyMap<string, string>
  now: () => Date
  turns?: SettleTurns
}

/**
 * What cannot be known from one event alone: what belongs to another name, what ended with its repository, what large manifests
 * hold in many repositories, which pulls by digest were of a tag, and which HEADs were no part of a push. Pulls of an alias are
 * moved by a job of their own (pulls/aliases/move-aliases.ts): years of them take an hour.
 * @throws AggregateError when parts failed; the others were done.
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
    // Last: there may be any number of them.
    async () => {
      const end = now().getTime() + RENAMES_MS
      await carryOutRenames(database, { since, turns: renames, isOver: () => now().getTime() >= end })
    },
  ]
  await eachAlone(parts, async (part) => part())
}

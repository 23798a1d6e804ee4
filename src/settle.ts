import { renameRegistries } from './counters/first-events.js'
import { eachAlone } from './inventory/record/each-alone.js'
import { endDeleted } from './inventory/record/end-deleted.js'
import { tellNoted } from './inventory/record/expand.js'
import { joinLookups } from './inventory/record/join-lookups.js'
import { mergeAliases } from './inventory/record/merge-aliases.js'
import { carryOutRenames } from './inventory/record/renames.js'
import type { Database } from './storage/database.js'

/** How long after a rename events of before it are still moved; none comes later than its id is remembered. */
const LATE_DAYS = 14

/**
 * What an event alone does not tell: what belongs to another name, what ended with its repository, what large manifests
 * hold in many repositories, and which pulls by digest were of a tag.
 * @param aliases of registries, each with the name of its registry.
 * @throws AggregateError when parts failed; the others were done.
 */
export const settle = async (database: Database, aliases: ReadonlyMap<string, string>, now: Date): Promise<void> => {
  const since = new Date(now.getTime() - LATE_DAYS * 86_400_000)
  const parts = [
    ...(aliases.size > 0
      ? [async () => renameRegistries(database, aliases), async () => mergeAliases(database, aliases)]
      : []),
    async () => endDeleted(database),
    async () => carryOutRenames(database, { since }),
    async () => tellNoted(database),
    async () => joinLookups(database),
  ]
  await eachAlone(parts, async (part) => part())
}

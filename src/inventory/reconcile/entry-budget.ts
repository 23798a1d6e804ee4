import { RegistryError } from '../../registries/client/exchange.js'

/**
 * The most entries that one repository of a registry may keep in memory: manifests that were read, their entries, and blobs,
 * with 250 bytes each. A repository with 50,000 new images of 12 blobs each has 650,000 entries.
 */
const MOST_ENTRIES = 1_000_000

/** The memory that is left for what a registry shows of one repository. */
export type EntryBudget = {
  /** @throws RegistryError if fewer entries are left */
  take: (entries: number) => void
}

export const createEntryBudget = (repository: string): EntryBudget => {
  let left = MOST_ENTRIES
  return {
    take: (entries) => {
      left -= entries
      if (left >= 0) return
      throw new RegistryError(
        `the registry shows more than ${MOST_ENTRIES.toLocaleString('en-US')} entries of manifests in ${repository}, and no ` +
          'more is read: delete there what is not needed, or wait until manifests were read back (tallyman status), which are ' +
          'not read again',
      )
    },
  }
}

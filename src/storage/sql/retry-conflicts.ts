import { isConflict, isDuplicateKey } from './database.js'

const CONFLICT_RETRIES = 3

/**
 * Runs work, and repeats it after a conflict with another transaction, at most three times. So a failed attempt must store
 * nothing that the next attempt would store a second time.
 */
export const retryConflicts = async <T>(work: () => Promise<T>, attempt = 0): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    if (!(isConflict(error) || isDuplicateKey(error)) || attempt >= CONFLICT_RETRIES) throw error
    return retryConflicts(work, attempt + 1)
  }
}

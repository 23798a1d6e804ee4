import { isCancelled, TIME_LIMITS } from '../storage/sql/database.js'
import { RefusedRequest } from './problem.js'

/** Turns the cancellation of a query by the database into a 504: the query was too large. Other errors are passed on. */
export const orTooLong = async <T>(answer: () => Promise<T>): Promise<T> => {
  try {
    return await answer()
  } catch (error) {
    if (isCancelled(error)) throw new RefusedRequest(504, TOO_LONG)
    throw error
  }
}

const TOO_LONG = `it took too long (${TIME_LIMITS}); choose a shorter period, fewer groups, or one repository`

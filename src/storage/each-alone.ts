import { hasCause } from './unavailable.js'
import { isCancelled } from './sql/database.js'

/** Statements that the database ended in one run, because they took too long: the rest of the run would keep it busy for as long again. */
const MOST_ENDED = 5

/**
 * Does the same with each, one after the other; one that fails does not keep those behind it waiting.
 * @param endsAll whether an error ends the run at once, because all that follow would fail, too. So does the fifth statement that took too long.
 * @throws AggregateError at the end, of all that failed; an error that ends the run as it is, or with those before it.
 */
export const eachAlone = async <T>(
  items: Iterable<T>,
  work: (item: T) => Promise<void>,
  endsAll: (error: unknown) => boolean = () => false,
): Promise<void> => {
  const errors: unknown[] = []
  let ended = 0
  for (const item of items) {
    try {
      await work(item)
    } catch (error) {
      if (hasCause(error, isCancelled)) ended++
      if (endsAll(error) || ended === MOST_ENDED)
        throw errors.length === 0 ? error : new AggregateError([...errors, error], 'the run ended early')
      errors.push(error)
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, `${errors.length} failed; the others were done`)
}

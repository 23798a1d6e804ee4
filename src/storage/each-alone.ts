import { hasCause } from './unavailable.js'
import { isCancelled } from './sql/database.js'

/**
 * A run ends if the database has ended so many of its statements for taking too long: the remaining ones could keep the database
 * busy for just as long.
 */
const MOST_ENDED = 5

/**
 * Runs the same work for each item, one after the other. If one item fails, the next ones are still processed.
 * @param endsAll whether an error ends the run at once, because all following items would fail, too. The fifth statement that took
 * too long also ends the run.
 * @throws AggregateError at the end, with all errors. An error that ends the run is thrown alone, or together with the earlier errors.
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

/**
 * Does the same with each, one after the other; one that fails does not keep those behind it waiting.
 * @throws AggregateError at the end, of all that failed.
 */
export const eachAlone = async <T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> => {
  const errors: unknown[] = []
  for (const item of items) {
    try {
      await work(item)
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, `${errors.length} failed; the others were done`)
}

/**
 * The number of a row that a statement inserts or updates: the known one, or else the next of its sequence. With the default of the
 * column, PostgreSQL would take a number before it notices the conflict with an existing row, and the numbers would run out.
 * @param known the stored number, or null
 * @param sequence the name of the sequence
 */
export const knownOrNext = (known: string, sequence: string): string =>
  `coalesce(${known}, nextval('${sequence}')::int)`

/**
 * The id of a row of inventory.repositories that a statement inserts or updates: the known one, or else the next number. While a
 * row exists, it keeps its id and its name.
 * @param known the stored id, or null
 */
export const repositoryId = (known: string): string =>
  `coalesce(${known}, nextval('inventory.repositories_id_seq')::int)`

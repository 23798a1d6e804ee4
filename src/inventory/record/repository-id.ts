import { knownOrNext } from '../../storage/sql/known-number.js'

/**
 * The id of a row of inventory.repositories that a statement inserts or updates. While a row exists, it keeps its id and its name.
 * @param known the stored id, or null
 */
export const repositoryId = (known: string): string => knownOrNext(known, 'inventory.repositories_id_seq')

import type { Kysely, Transaction } from 'kysely'

/** Reads in one transaction, all of whose statements see the same moment: days move from table to table meanwhile. */
export const inOneSnapshot = async <T>(
  db: Kysely<unknown>,
  read: (tx: Transaction<unknown>) => Promise<T>,
): Promise<T> => db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only').execute(read)

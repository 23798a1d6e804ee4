import type { Kysely, Transaction } from 'kysely'

/** Reads in one transaction whose statements all see the same snapshot, because jobs move days between tables meanwhile. */
export const inOneSnapshot = async <T>(
  db: Kysely<unknown>,
  read: (tx: Transaction<unknown>) => Promise<T>,
): Promise<T> => db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only').execute(read)

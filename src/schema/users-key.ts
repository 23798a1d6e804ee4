import { sql } from 'kysely'
import type { Database, Sql } from '../storage/sql/database.js'
import { readServiceSign } from './service-sign.js'

/** Users were counted with another key in this database. */
export class OtherUsersKey extends Error {
  constructor() {
    super(
      'users were counted with another key in this database, so everybody would count twice; ' +
        'copy users.key from the data directory of the first instance, or set TALLYMAN_USERS_KEY to the same text everywhere',
    )
  }
}

/** The row of `leases` that exists since a process has counted, or is about to. It is no lease, and has no end. */
const CLAIM = 'users key'

/** Seconds. A running service gives a sign every ten seconds. */
const SIGN_OF_RUNNING = 120

/** Tables that have a row if something was counted or recorded. */
const RECORDED = [
  'event_ids',
  'tallies',
  'receptions',
  'repositories',
  'rejected_events',
  'unresolved_users',
  'sketches',
  'inventory.repositories',
  'pulls.registries',
  'pulls.pending',
  'pulls.totals',
]

/**
 * Takes another users key for a database in which nothing was counted, and that no other service uses. The row of the installation is
 * locked meanwhile, so a process that claims its key (`claimUsersKey`) or checks it (`checkUsersKey`) does so before or after.
 * @param hasSketches whether the store of sketches has counters
 * @returns whether the key was taken
 */
export const renewUsersKey = async (
  database: Database,
  fingerprint: string,
  hasSketches: () => Promise<boolean>,
): Promise<boolean> => {
  // Before the transaction, as the embedded database does one thing at a time. A process claims its key before it adds to a sketch.
  if (await hasSketches()) return false
  return database.transaction(async (tx) => {
    await sql`select from installation for update`.execute(tx)
    const sign = await readServiceSign(tx)
    if ((sign !== undefined && sign < SIGN_OF_RUNNING) || (await isAnythingRecorded(tx))) return false
    await sql`update installation set users_key_fingerprint = ${fingerprint}`.execute(tx)
    return true
  })
}

const isAnythingRecorded = async (db: Sql): Promise<boolean> => {
  const tables = RECORDED.map((table) => sql`exists (select from ${sql.table(table)})`)
  const { rows } = await sql<{ found: boolean }>`
    select exists (select from leases where name = ${CLAIM}) or ${sql.join(tables, sql` or `)} as found
  `.execute(db)
  return rows[0]?.found ?? true
}

/** Checks that the database is still bound to a key, after a renewal that is under way. @throws OtherUsersKey */
export const checkUsersKey = async (db: Sql, fingerprint: string): Promise<void> => {
  const { rows } = await sql<{ users_key_fingerprint: string }>`
    select users_key_fingerprint from installation for share
  `.execute(db)
  if (rows[0]?.users_key_fingerprint !== fingerprint) throw new OtherUsersKey()
}

/**
 * Binds the database to its key for good, because a user is about to be counted: no renewal follows.
 * @throws OtherUsersKey if another process has renewed the key
 */
export const claimUsersKey = async (database: Database, fingerprint: string): Promise<void> =>
  database.transaction(async (tx) => {
    await sql`
      insert into leases (name, holder, until) values (${CLAIM}, ${fingerprint}, 'infinity') on conflict do nothing
    `.execute(tx)
    await checkUsersKey(tx, fingerprint)
  })

/** Claims the key once for this process. @returns undefined when the key is claimed already */
export const createKeyClaim = (database: Database, fingerprint: string): (() => Promise<void> | undefined) => {
  let isClaimed = false
  return () =>
    isClaimed
      ? undefined
      : claimUsersKey(database, fingerprint).then(() => {
          isClaimed = true
        })
}

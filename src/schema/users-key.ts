import { sql } from 'kysely'
import type { Database, Sql } from '../storage/sql/database.js'
import { readServiceHeartbeat } from './service-heartbeat.js'
import { UserError } from '../runtime/user-error.js'

/** Users were counted with another key in this database. */
export class OtherUsersKey extends UserError {
  override readonly kind = 'setup'
  constructor() {
    super(
      'users were counted with another key in this database, so everybody would count twice; ' +
        'copy users.key from the data directory of the first instance, or set TALLYMAN_USERS_KEY to the same text everywhere',
    )
  }
}

/** The row of `leases` that marks that a process has counted, or is about to. It is no lease, and never expires. */
const CLAIM = 'users key'

/** Seconds. A running service writes a heartbeat every ten seconds. */
const HEARTBEAT_OF_RUNNING = 120

/** The tables of which at least one has a row if anything was counted or recorded. */
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
 * Replaces the users key of a database that contains no counts, and that no other service uses. The row of the installation is
 * locked during the replacement, so a process claims (`claimUsersKey`) or checks (`checkUsersKey`) its key before or after.
 * @param hasSketches whether the store of sketches has counters
 * @returns whether the key was replaced
 */
export const renewUsersKey = async (
  database: Database,
  fingerprint: string,
  hasSketches: () => Promise<boolean>,
): Promise<boolean> => {
  // Before the transaction, because the embedded database has one session. A process claims its key before it adds to a sketch.
  if (await hasSketches()) return false
  return database.transaction(async (tx) => {
    await sql`select from installation for update`.execute(tx)
    const heartbeat = await readServiceHeartbeat(tx)
    if ((heartbeat !== undefined && heartbeat < HEARTBEAT_OF_RUNNING) || (await isAnythingRecorded(tx))) return false
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

/** Checks that the database is still bound to a key. Waits for a replacement in progress. @throws OtherUsersKey */
export const checkUsersKey = async (db: Sql, fingerprint: string): Promise<void> => {
  const { rows } = await sql<{ users_key_fingerprint: string }>`
    select users_key_fingerprint from installation for share
  `.execute(db)
  if (rows[0]?.users_key_fingerprint !== fingerprint) throw new OtherUsersKey()
}

/**
 * Binds the database to its key permanently, because a user is about to be counted. The key is never replaced afterwards.
 * @throws OtherUsersKey if another process has replaced the key
 */
export const claimUsersKey = async (database: Database, fingerprint: string): Promise<void> =>
  database.transaction(async (tx) => {
    await sql`
      insert into leases (name, holder, until) values (${CLAIM}, ${fingerprint}, 'infinity') on conflict do nothing
    `.execute(tx)
    await checkUsersKey(tx, fingerprint)
  })

/** Claims the key once for this process. @returns undefined if the key is already claimed */
export const createKeyClaim = (database: Database, fingerprint: string): (() => Promise<void> | undefined) => {
  const { losses } = database
  let isClaimed = false
  losses.onLoss(() => (isClaimed = false))
  return () => {
    if (isClaimed) return undefined
    const lossesBefore = losses.count()
    return claimUsersKey(database, fingerprint).then(() => {
      isClaimed = losses.count() === lossesBefore
    })
  }
}

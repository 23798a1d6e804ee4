import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import type { Database } from './database.js'

/** This installation: all processes on one database. */
export type Installation = { uuid: string; installedAt: Date }

/** The database was filled by an installation with another users key. */
export class OtherUsersKey extends Error {}

/**
 * Who we are; made at the first start.
 * @param fingerprint of the key that names are hashed with. With another key everybody would be counted twice.
 * @throws OtherUsersKey
 */
export const installationIn = async (database: Database, fingerprint: string, now: Date): Promise<Installation> => {
  await sql`
    insert into installation (uuid, installed_at, users_key_fingerprint)
    values (${randomUUID()}::uuid, ${now.toISOString()}::timestamptz, ${fingerprint}) on conflict do nothing
  `.execute(database.sql)
  const { rows } = await sql<{ uuid: string; installed_at: Date; users_key_fingerprint: string }>`
    select uuid, installed_at, users_key_fingerprint from installation
  `.execute(database.sql)
  const [row] = rows
  if (!row) throw new Error('the table installation is empty')
  if (row.users_key_fingerprint !== fingerprint) {
    throw new OtherUsersKey(
      'users were counted with another key in this database, so everybody would count twice; ' +
        'copy users.key from the data directory of the first instance, or set TALLYMAN_USERS_KEY to the same text everywhere',
    )
  }
  return { uuid: row.uuid, installedAt: row.installed_at }
}

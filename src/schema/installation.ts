import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import type { Database } from '../storage/sql/database.js'
import { OtherUsersKey, renewUsersKey } from './users-key.js'

/** This installation: all processes on one database. */
export type Installation = { uuid: string; installedAt: Date }

/**
 * The stored installation. The first start creates it.
 * @param fingerprint of the users key. With another key everybody would be counted twice
 * @param hasSketches whether the store of sketches has counters. Without this parameter, the key is not replaced even in a database
 *   without counts: a key that this start created is not a choice of the operator
 * @throws OtherUsersKey
 */
export const installationIn = async (
  database: Database,
  fingerprint: string,
  now: Date,
  hasSketches?: () => Promise<boolean>,
): Promise<Installation> => {
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
    const isRenewed = hasSketches !== undefined && (await renewUsersKey(database, fingerprint, hasSketches))
    if (!isRenewed) throw new OtherUsersKey()
  }
  return { uuid: row.uuid, installedAt: row.installed_at }
}

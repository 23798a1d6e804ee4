import { sql, type RawBuilder } from 'kysely'

/**
 * Whether a row `c` of inventory.changes is a push of a digest. The condition on the hash is there because the database index
 * is on the hash.
 */
export const isPushOf = (digest: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`c.action = 'push' and hashtext(c.digest) = hashtext(${digest}) and c.digest = ${digest}`

import { sql, type RawBuilder } from 'kysely'

/** Whether a row `c` of inventory.changes is a push of a digest; the hash is what its index contains. */
export const isPushOf = (digest: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`c.action = 'push' and hashtext(c.digest) = hashtext(${digest}) and c.digest = ${digest}`

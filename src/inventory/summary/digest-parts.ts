import { sql, type RawBuilder } from 'kysely'

/** Digests begin evenly with each of these, so a part is a sixteenth, and no statement takes longer than that. */
const CUTS = Array.from({ length: 15 }, (_, i) => `sha256:${(i + 1).toString(16)}`)

/** Conditions on a digest: each is true for another sixteenth of all digests. */
export const inDigestParts = (digest: RawBuilder<unknown>): RawBuilder<unknown>[] =>
  [undefined, ...CUTS].map((from, i) => {
    const to = CUTS[i]
    return sql`${from === undefined ? sql`true` : sql`${digest} >= ${from}`}
          and ${to === undefined ? sql`true` : sql`${digest} < ${to}`}`
  })

import { sql, type RawBuilder } from 'kysely'

/**
 * Whether row `t` of inventory.tags is live: the tag was seen to point to its digest after the newest delete. A delete by digest deletes
 * the tags that point to the manifest without naming them, so the delete of the manifest counts, too.
 * @param deletedAt the newest delete: of the tag and its manifest, or of the manifest alone where the statement also requires `t.live`
 */
export const isLiveTag = (deletedAt: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`t.pointed_at > coalesce(${deletedAt}, '-infinity')`

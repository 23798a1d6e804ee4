import { sql, type RawBuilder } from 'kysely'

/**
 * Whether a repository is the source or the target of a move that is not over: its manifests, blobs and tags may be at different
 * paths, so that nothing in it is known to be unused. A statement reads the open moves once, whatever its number of rows.
 */
export const isMoving = (repositoryId: RawBuilder<unknown>): RawBuilder<unknown> => sql`(${repositoryId} = any(array(
  select from_id from inventory.open_moves union all select to_id from inventory.open_moves
)))`

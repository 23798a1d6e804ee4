import { sql, type RawBuilder } from 'kysely'

type Part = RawBuilder<unknown>

const entriesIn = (table: 'manifest_children' | 'manifest_blobs', digest: Part): Part => sql`coalesce((
  select position + 1 from inventory.${sql.raw(table)} where manifest_digest = ${digest} order by position desc limit 1
), 0)`

/** The most manifests that a manifest can list: one look-up, since positions are counted from 0. */
export const childrenOf = (digest: Part): Part => entriesIn('manifest_children', digest)

/** The most blobs that a manifest can list. */
export const blobsOf = (digest: Part): Part => entriesIn('manifest_blobs', digest)

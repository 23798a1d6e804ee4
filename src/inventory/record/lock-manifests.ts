import { sql, type RawBuilder } from 'kysely'
import type { HotStatement, Run, Sql } from '../../storage/sql/database.js'

/**
 * Locks manifests of a repository until the transaction ends. Transactions that store contents of these manifests propagate the
 * blobs to every repository that has one of them (see propagateEverywhere). They must see the repository before or after this
 * transaction, never in between.
 */
export const lockManifestsOf = async (
  tx: Sql,
  repository: number,
  { which, after, most }: { which: RawBuilder<unknown>; after: string; most: number },
): Promise<void> => {
  await sql`
    insert into inventory.manifests as m (digest)
    select digest from inventory.repository_manifests o
    where repository_id = ${repository} and digest > ${after} and seen_at is not null and ${which}
    order by digest limit ${most}
    on conflict (digest) do update set size = m.size where false
  `.execute(tx)
}

const LOCK: HotStatement = {
  name: 'lock_manifests',
  text: 'select from inventory.manifests where digest = any($1::text[]) order by digest for no key update',
}

/** Locks manifests whose blobs are propagated in a transaction after the one that stored the manifests. */
export const lockManifests = async ({ run }: { run: Run }, digests: readonly string[]): Promise<void> => {
  await run(LOCK, [digests])
}

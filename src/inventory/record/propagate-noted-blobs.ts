import { sql } from 'kysely'
import type { Database, HotStatement } from '../../storage/sql/database.js'
import { jobStep, type Step } from '../../storage/sql/retried-transaction.js'
import { isListPropagatedIn } from '../model/known-in.js'
import { upsertBlobs, AT_ONCE, selectLacked, MANIFEST_ROWS } from './propagate-blobs.js'
import { withholdIfTooLong } from './withhold.js'

/** Adds the blobs of a manifest to some repositories, as many as one step may add. Rows that exist already are skipped. */
const STEP: HotStatement = {
  name: 'propagate_in_steps',
  text: `
    with manifest_rows as materialized (
      ${MANIFEST_ROWS}
      from unnest($1::int[]) as wanted (id)
        cross join lateral (select stated_by, withheld_in from inventory.manifests where digest = $2 offset 0) m
        cross join lateral (
          select id, deleted_at from inventory.repositories
          where id = wanted.id and ${isListPropagatedIn('m', 'registry')} offset 0
        ) r
        cross join lateral (
          select repository_id, digest, pushed_at, moved_at from inventory.repository_manifests
          where repository_id = r.id and digest = $2 and seen_at is not null offset 0
        ) o
    ), lacked as materialized (
      ${selectLacked('manifest_rows')} limit ${AT_ONCE}
    ), added as (${upsertBlobs('select * from lacked order by repository_id, digest')})
    select count(*)::int as lacked from lacked`,
}

/** Steps of one run: 100,000 rows at most, so that the rest of the job is delayed by only some seconds. */
const STEPS = 20

/**
 * Adds the blobs of manifests that are too many for one statement to all repositories, in steps. Manifests take turns, one step
 * at a time. The next run continues.
 * @param turns the manifest of the last step
 */
export const propagateNotedBlobs = async (database: Database, turns: { digest?: string } = {}): Promise<void> => {
  const counted = new Set<string>()
  for (let step = 0; step < STEPS; step++) {
    const digest = await jobStep(database, async (tx) => propagateStep(tx, turns.digest ?? '', counted))
    if (digest === undefined) return
    turns.digest = digest
    counted.add(digest)
  }
}

/**
 * @param last the manifest of the last step
 * @param counted manifests of which this run has counted the repositories
 * @returns the manifest of this step; undefined if there was nothing to do.
 */
const propagateStep = async (tx: Step, last: string, counted: ReadonlySet<string>): Promise<string | undefined> => {
  const manifest = (await nextNoted(tx, last)) ?? (await nextNoted(tx, ''))
  if (!manifest) return undefined
  const { digest, after } = manifest
  if (!counted.has(digest) && (await withholdIfTooLong(tx, digest))) return digest
  const { rows: repositories } = await sql<{ id: number }>`
    select repository_id as id from inventory.repository_manifests
    where digest = ${digest} and repository_id > ${after}
    order by repository_id
    limit greatest(1, ${AT_ONCE} / (select 1 + count(*) from inventory.manifest_blobs where manifest_digest = ${digest}))
  `.execute(tx)
  const [{ lacked }] = (await tx.run(STEP, [repositories.map(({ id }) => id), digest])) as [{ lacked: number }]
  // If one manifest in one repository is too much for a step, the next step adds the rest.
  if (lacked < AT_ONCE) {
    const next = repositories.at(-1)?.id ?? null
    await sql`update inventory.manifests set tell_after = ${next} where digest = ${digest}`.execute(tx)
  }
  return digest
}

const nextNoted = async (tx: Step, last: string): Promise<{ digest: string; after: number } | undefined> => {
  const { rows } = await sql<{ digest: string; after: number }>`
    select digest, tell_after as after from inventory.manifests
    where tell_after is not null and digest > ${last} order by digest limit 1 for no key update
  `.execute(tx)
  return rows[0]
}

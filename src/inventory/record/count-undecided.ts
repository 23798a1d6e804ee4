import type { HotStatement, Run } from '../../storage/sql/database.js'
import type { UndecidedUse } from './observations.js'
import { time } from './times.js'

/** Batches lock the row of a repository before anything in it. */
const COUNT_UNDECIDED: HotStatement = {
  name: 'count_undecided',
  text: `
    with wanted as materialized (
      select r.id, seen.digest, seen.pulled_at, seen.checked_at
      from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
          as seen (registry, name, digest, pulled_at, checked_at)
        join inventory.repositories r on r.registry = seen.registry and r.name = seen.name
      order by r.registry, r.name, seen.digest for no key update of r
    ), manifests as (
      update inventory.repository_manifests o
      set pulled_at = greatest(o.pulled_at, wanted.pulled_at), checked_at = greatest(o.checked_at, wanted.checked_at)
      from wanted where o.repository_id = wanted.id and o.digest = wanted.digest and o.seen_at is not null
    )
    update inventory.repository_blobs o
    set pulled_at = greatest(o.pulled_at, wanted.pulled_at), checked_at = greatest(o.checked_at, wanted.checked_at)
    from wanted where o.repository_id = wanted.id and o.digest = wanted.digest and (o.seen_at is not null or o.implied)`,
}

/**
 * Counts requests of a digest of which the event does not show whether it is a manifest or a blob. They are uses of whichever of
 * the two the repository is known to have, and show neither. If it is known only later, `undecided_at` of the repository alone shows
 * the use. Must run in a statement after the one that stored the batch.
 */
export const countUndecided = async ({ run }: { run: Run }, undecided: readonly UndecidedUse[]): Promise<void> => {
  if (undecided.length === 0) return
  await run(COUNT_UNDECIDED, [
    undecided.map(({ registry }) => registry),
    undecided.map(({ name }) => name),
    undecided.map(({ digest }) => digest),
    undecided.map(({ pulled }) => time(pulled)),
    undecided.map(({ checked }) => time(checked)),
  ])
}

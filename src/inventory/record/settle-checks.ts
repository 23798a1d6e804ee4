import { sql } from 'kysely'
import type { Database, Sql } from '../../storage/sql/database.js'
import { jobStep } from '../../storage/sql/retried-transaction.js'
import { isMoving } from '../model/moving.js'
import { dueChecks, MINUTES_TO_PUSH } from './check-before-push.js'

/** HEADs of one statement: the look-up of one may read more than a thousand rows of pushes and indexes. */
const AT_ONCE = 10

/**
 * Counts HEADs as checks once no push can belong to them any more: the time limit has passed since they happened, and since
 * they arrived. HEADs that are part of a push have no effect, so the times of earlier checks stay. In a repository that is
 * being moved, HEADs stay pending until the move is done: the rows of their manifests and tags may be at the other path.
 */
export const settleChecks = async (database: Database, now: Date): Promise<void> => {
  for (let from: string | undefined = '-infinity'; from !== undefined;) {
    const since: string = from
    from = await jobStep(database, async (tx) => settleSome(tx, now, since))
  }
}

/**
 * Updates manifests before tags, the order in which batches lock them.
 * @param since where this step begins: earlier HEADs are settled, or not due yet
 * @returns where the next step begins; undefined if no HEADs are left
 */
const settleSome = async (tx: Sql, now: Date, since: string): Promise<string | undefined> => {
  const until = sql`${new Date(now.getTime() - MINUTES_TO_PUSH * 60_000)}::timestamptz`
  const isDue = sql`l.at >= ${since}::timestamptz and l.at < ${until} and l.received_at < ${until} and not ${isMoving(sql`l.repository_id`)}`
  const { rows } = await sql<{
    id: string
    repository: number
    digest: string
    tag: string | null
    at: string
    isCheck: boolean
  }>`
    select event_id as id, repository_id as repository, digest, tag, at::text, not is_part_of_push as "isCheck"
    from (${dueChecks(isDue, AT_ONCE)}) due order by due.at
  `.execute(tx)
  const checks = rows.filter(({ isCheck }) => isCheck)
  if (checks.length > 0) {
    await update(
      tx,
      'repository_manifests',
      'digest',
      checks.map((one) => ({ ...one, key: one.digest })),
    )
    await update(
      tx,
      'tags',
      'name',
      checks.flatMap((one) => (one.tag === null ? [] : [{ ...one, key: one.tag }])),
    )
  }
  if (rows.length > 0) {
    await sql`
      update inventory.tag_lookups set settled = true where event_id = any(${rows.map(({ id }) => id)}::uuid[])
    `.execute(tx)
  }
  return rows.length < AT_ONCE ? undefined : rows.at(-1)?.at
}

type Check = { repository: number; key: string; at: string }

/** Selects rows by key, not by ctid: a row changes its ctid while this statement waits for its lock. */
const update = async (tx: Sql, table: string, column: string, checks: readonly Check[]): Promise<void> => {
  const key = sql.raw(`o.${column}`)
  await sql`
    with checked as materialized (
      select repository_id, key, max(at) as at
      from unnest(
        ${checks.map(({ repository }) => repository)}::int[], ${checks.map((one) => one.key)}::text[],
        ${checks.map(({ at }) => at)}::timestamptz[]
      ) as checked (repository_id, key, at)
      group by repository_id, key
    ), locked as materialized (
      select checked.repository_id, checked.key, checked.at
      from checked join inventory.${sql.raw(table)} o on o.repository_id = checked.repository_id and ${key} = checked.key
      order by o.repository_id, ${key} for no key update of o
    )
    update inventory.${sql.raw(table)} o set checked_at = locked.at
    from locked
    where o.repository_id = locked.repository_id and ${key} = locked.key and coalesce(o.checked_at, '-infinity') < locked.at
  `.execute(tx)
}

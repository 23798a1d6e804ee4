import { sql } from 'kysely'
import type { Database, Sql } from '../../storage/sql/database.js'
import { jobStep } from '../../storage/sql/retried-transaction.js'
import { eachAlone } from '../../storage/each-alone.js'
import { lockManifestsOf } from './lock-manifests.js'

const TABLES = { repository_manifests: 'digest', repository_blobs: 'digest', tags: 'name' }

/**
 * A repository with at most SMALL rows in each table is closed while the registry waits for its response; of one batch, at most
 * FEW repositories.
 */
const SMALL = 500
const FEW = 10

/**
 * Marks the rows of small repositories that a batch deletes as deleted, in the same transaction; closeDeleted follows for all
 * repositories. Rows that are inserted later get the time of the delete from the row of the repository.
 */
export const closeSmallDeleted = async (
  tx: Sql,
  repositories: readonly { registry: string; name: string }[],
): Promise<void> => {
  if (repositories.length === 0) return
  const small = Object.keys(TABLES).map(
    (table) => sql`not exists (select from inventory.${sql.raw(table)} where repository_id = r.id offset ${SMALL})`,
  )
  const { rows } = await sql<{ id: number }>`
    select r.id from inventory.repositories r
      join unnest(
        ${repositories.map(({ registry }) => registry)}::text[], ${repositories.map(({ name }) => name)}::text[]
      ) as closed (registry, name) using (registry, name)
    where ${sql.join(small, sql` and `)} limit ${FEW}
  `.execute(tx)
  for (const table of rows.length > 0 ? Object.keys(TABLES) : []) {
    await sql`
      update ${sql.raw(`inventory.${table}`)} as o
      set deleted_at = r.deleted_at
      from inventory.repositories r
      where r.id = any(${rows.map(({ id }) => id)}::int[]) and o.repository_id = r.id
        and coalesce(greatest(o.deleted_at, o.moved_at), '-infinity') < r.deleted_at
    `.execute(tx)
  }
}

/** Rows that are closed in one transaction. */
const AT_ONCE = 1_000
/** Repositories of one run; the next run continues. */
const MOST = 1_000

type Deleted = { id: number; at: string }

/**
 * Marks all rows of deleted repositories as deleted, in steps. Rows that a rename moved there after the delete stay live.
 * @throws AggregateError if repositories failed; the others were closed.
 */
export const closeDeleted = async (database: Database): Promise<void> => {
  const { rows } = await sql<Deleted>`
    select id, deleted_at::text as at from inventory.repositories
    where deleted_at > coalesce(ended_at, '-infinity') order by id limit ${MOST}
  `.execute(database.sql)
  await eachAlone(rows, async (deleted) => {
    // Manifests first: a transaction that stores their contents, and does not see the delete yet, is waited for here.
    for (const table of Object.keys(TABLES) as (keyof typeof TABLES)[]) await closeAllRows(database, table, deleted)
    await sql`
      update inventory.repositories set ended_at = greatest(ended_at, ${deleted.at}::timestamptz) where id = ${deleted.id}
    `.execute(database.sql)
  })
}

const closeAllRows = async (database: Database, table: keyof typeof TABLES, deleted: Deleted): Promise<void> => {
  for (let after: string | undefined = ''; after !== undefined;) {
    const from: string = after
    after = await jobStep(database, async (tx) => {
      if (table === 'repository_manifests')
        await lockManifestsOf(tx, deleted.id, { which: sql`true`, after: from, most: AT_ONCE })
      return closePage(tx, table, deleted, from)
    })
  }
}

/** @returns the key after which to continue; undefined at the end. */
const closePage = async (
  tx: Sql,
  table: keyof typeof TABLES,
  { id, at }: Deleted,
  after: string,
): Promise<string | undefined> => {
  const key = sql.raw(TABLES[table])
  const { rows } = await sql<{ count: number; last: string | null }>`
    with page as materialized (
      select ${key} as key from inventory.${sql.raw(table)}
      where repository_id = ${id} and ${key} > ${after} order by ${key} limit ${AT_ONCE} for update
    ), closed as (
      update inventory.${sql.raw(table)} o set deleted_at = ${at}::timestamptz
      from page
      where o.repository_id = ${id} and o.${key} = page.key
        and coalesce(greatest(o.deleted_at, o.moved_at), '-infinity') < ${at}::timestamptz
    )
    select count(*)::int as count, max(key) as last from page
  `.execute(tx)
  const { count = 0, last = null } = rows[0] ?? {}
  return count < AT_ONCE || last === null ? undefined : last
}

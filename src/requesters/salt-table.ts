import { sql } from 'kysely'
import { isoTime } from '../events/calendar.js'
import { isLockRefused, type Database, type Sql } from '../storage/sql/database.js'
import { markErasure } from '../storage/sql/erasure-marks.js'
import { epochMicros } from '../storage/sql/moments.js'
import type { SaltStore, StoredSalt } from './salts.js'

/**
 * How long a rewrite waits for a reader of the table, for example a backup. After that, the rewrite is retried in the next
 * minute.
 */
const LOCK_TIMEOUT = '500ms'

/**
 * Stores salts in `pulls.salts`, which all processes on one PostgreSQL server share. After salts were removed, the table is
 * written to a new file. The operator is responsible for the server's log, its archives, replicas and backups
 * (docs/operations.md, "What deleting leaves behind").
 */
export const createSaltTable = ({ sql: db, jobTransaction, losses }: Database): SaltStore => {
  // Another process, or a previous run of this one, may have removed salts without rewriting the table.
  let isRewriteDue = true
  losses.onLoss(() => (isRewriteDue = true))
  return {
    list: async () => storedIn(db),
    add: async (salts) => addTo(db, salts),
    keepOnly: async (rotation, since) => {
      const { numAffectedRows = 0n } = await sql`
        delete from pulls.salts where rotation <> ${rotation} or ends_at < ${isoTime(since)}::timestamptz
      `.execute(db)
      if (numAffectedRows > 0n) isRewriteDue = true
      if (!isRewriteDue) return
      isRewriteDue = !(await rewriteSalts(jobTransaction))
    },
  }
}

/** @returns false if the table is in use, or if the role of the connection may not truncate it */
const rewriteSalts = async (transaction: Database['jobTransaction']): Promise<boolean> =>
  transaction(async (tx) => {
    await sql`select set_config('lock_timeout', ${LOCK_TIMEOUT}, true)`.execute(tx)
    await sql`lock table pulls.salts in access exclusive mode`.execute(tx)
    const salts = await storedIn(tx)
    await sql`truncate pulls.salts`.execute(tx)
    await addTo(tx, salts)
  }).then(
    () => true,
    (error: unknown) => {
      if (isLockRefused(error)) return false
      throw error
    },
  )

const addTo = async (db: Sql, salts: readonly StoredSalt[]): Promise<void> => {
  await sql`
    insert into pulls.salts (rotation, starts_at, ends_at, salt)
    select * from unnest(
      ${salts.map(({ rotation }) => rotation)}::text[],
      ${salts.map(({ from }) => isoTime(from))}::timestamptz[],
      ${salts.map(({ until }) => isoTime(until))}::timestamptz[],
      ${salts.map(({ text }) => text)}::text[]
    )
    on conflict do nothing
  `.execute(db)
}

const storedIn = async (db: Sql): Promise<StoredSalt[]> => {
  const { rows } = await sql<{ rotation: StoredSalt['rotation']; from: string; until: string; text: string }>`
    select rotation, ${epochMicros(sql`starts_at`)}::text as from,
      ${epochMicros(sql`ends_at`)}::text as until, salt as text
    from pulls.salts order by starts_at
  `.execute(db)
  return rows.map(({ rotation, from, until, text }) => ({ rotation, from: Number(from), until: Number(until), text }))
}

/**
 * Moves the salts that earlier versions stored in the embedded database out of it. The log and the dumps still contain these
 * salts. The transaction that empties the table marks both, and the next start replaces the marked files.
 */
export const moveSalts = async ({ sql: db, transaction }: Database, store: SaltStore): Promise<void> => {
  const { rows } = await sql<{ bytes: string }>`select pg_relation_size('pulls.salts') as bytes`.execute(db)
  if (Number(rows[0]?.bytes) === 0) return
  await store.add(await storedIn(db))
  await transaction(async (tx) => {
    await markErasure(tx, ['log', 'dumps'])
    await sql`truncate pulls.salts`.execute(tx)
  })
}

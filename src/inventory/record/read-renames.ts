import { sql, type RawBuilder } from 'kysely'
import { isoTime } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { epochMicros } from '../../storage/sql/moments.js'
import { hasRowsToMove, isTakenByRename } from './moved-rows.js'
import type { SeenRename } from './observations.js'

export type StoredRename = Pick<SeenRename, 'event' | 'registry' | 'what' | 'from' | 'to' | 'at'>

/** Renames of a registry that one run reads. GitLab does not rename more within the time for late events. */
const MOST = 1_000

const KEPT = sql`event_id as event, registry, what, from_name as from, to_name as to,
  ${epochMicros(sql`at`)} as at`

type Row = Omit<StoredRename, 'at'> & { at: string }

const read = async (db: Sql, query: RawBuilder<Row>): Promise<StoredRename[]> =>
  (await query.execute(db)).rows.map((row) => ({ ...row, at: Number(row.at) }))

/** Registries that have pending renames, renames since a time, or an open move of a rename. */
export const renamingRegistries = async (db: Sql, since: Date): Promise<string[]> => {
  const { rows } = await sql<{ registry: string }>`
    select registry from inventory.renames where carried_at is null or at >= ${since}
    union
    select registry from inventory.open_moves join inventory.repositories on id = from_id where until is not null
  `.execute(db)
  return rows.map(({ registry }) => registry)
}

/** The first pending renames of a registry in the order of their times: from `begin` on, followed by those before it. */
export const pendingRenames = async (db: Sql, registry: string, begin: string | undefined): Promise<StoredRename[]> =>
  read(
    db,
    sql`
      select ${KEPT} from inventory.renames n
      where registry = ${registry} and carried_at is null
      order by (n.at, event_id) < (select at, event_id from inventory.renames where event_id = ${begin ?? null}::uuid),
        n.at, event_id
      limit ${MOST}
    `,
  )

/**
 * Renames since a time that were carried out, the last one of each path. If no event came late for the last one, none came late
 * for the others.
 */
export const lateRenames = async (db: Sql, registry: string, since: Date): Promise<StoredRename[]> =>
  read(
    db,
    sql`
      select distinct on (from_name, what) ${KEPT} from (
        select * from inventory.renames
        where registry = ${registry} and carried_at is not null and at >= ${since} order by at desc limit ${MOST}
      ) n
      order by from_name, what, n.at desc
    `,
  )

/**
 * The last rename of a repository before another rename, if it has rows left to move. Only renames that are pending, or not older
 * than `since`, are considered. If the last one has no rows left to move, neither has any earlier one.
 */
export const renameBefore = async (
  db: Sql,
  name: string,
  { event, registry, at }: StoredRename,
  since: Date,
): Promise<StoredRename | undefined> => {
  const parts = name.split('/')
  const namespaces = parts.slice(1).map((_, i) => parts.slice(0, i + 1).join('/'))
  const [before] = await read(
    db,
    sql`
      select ${KEPT} from inventory.renames n
      where registry = ${registry} and (from_name = ${name} or (what = 'namespace' and from_name = any(${namespaces}::text[])))
        and from_name <> to_name and (n.at, event_id) < (${isoTime(at)}::timestamptz, ${event}::uuid)
        and (carried_at is null or n.at >= ${since})
      order by n.at desc, event_id desc limit 1
    `,
  )
  return before && (await hasRowsLeftFor(db, name, before)) ? before : undefined
}

/** Whether a rename has rows left to move from a repository. */
export const hasRowsLeftFor = async (db: Sql, name: string, { registry, at }: StoredRename): Promise<boolean> => {
  const { rows } = await sql`
    select from inventory.repositories r
    where registry = ${registry} and name = ${name} and ${hasRowsToMove(sql`r.id`, { until: at })}
  `.execute(db)
  return rows.length > 0
}

/**
 * The paths after a name that have rows from before a rename: the repository itself, or all repositories below the namespace.
 */
export const renamedBy = async (
  db: Sql,
  { registry, what, from, to, at }: StoredRename,
  after: string,
): Promise<string[]> => {
  if (from === to) return []
  // "0" follows "/" in the order of the names.
  const below = sql`name > ${`${from}/`} and name < ${`${from}0`}`
  const { rows } = await sql<{ name: string }>`
    select name from inventory.repositories r
    where registry = ${registry} and first_seen_at <= ${isoTime(at)}::timestamptz and name > ${after}
      and (name = ${from} ${what === 'namespace' ? sql`or ${below}` : sql``})
      and ${isTakenByRename(at)}
    order by name
  `.execute(db)
  return rows.map(({ name }) => name)
}

/**
 * Marks a rename that has rows to move as pending, with the later renames that may move these rows on: those of its target
 * path.
 */
export const reopenFrom = async (db: Sql, { event, registry, to, at }: StoredRename): Promise<void> => {
  await sql`
    update inventory.renames n set carried_at = null
    where registry = ${registry} and carried_at is not null and n.at >= ${isoTime(at)}::timestamptz
      and (event_id = ${event} or from_name = ${to}
        or starts_with(from_name, ${`${to}/`}) or starts_with(${to}, from_name || '/'))
  `.execute(db)
}

import { sql } from 'kysely'
import { isoTime } from '../../events/calendar.js'
import type { Database, Sql } from '../../storage/database.js'
import { storeActors } from './actors.js'
import { eachAlone } from '../../storage/each-alone.js'
import { moveRepository } from './move.js'
import { isToBeMoved } from './moved-rows.js'
import type { SeenRename } from './sightings.js'

/** Keeps renames, for carryOutRenames. */
export const keepRenames = async (tx: Sql, renames: readonly SeenRename[]): Promise<void> => {
  if (renames.length === 0) return
  await storeActors(tx, renames)
  const sorted = [...renames].sort((a, b) => (a.event < b.event ? -1 : 1))
  await sql`
    insert into inventory.renames (event_id, registry, what, from_name, to_name, at, actor_id)
    select * from unnest(
      ${sorted.map(({ event }) => event)}::uuid[],
      ${sorted.map(({ registry }) => registry)}::text[],
      ${sorted.map(({ what }) => what)}::text[],
      ${sorted.map(({ from }) => from)}::text[],
      ${sorted.map(({ to }) => to)}::text[],
      ${sorted.map(({ at }) => isoTime(at))}::timestamptz[],
      ${sorted.map(({ actor }) => actor?.id ?? null)}::bigint[]
    )
    on conflict do nothing
  `.execute(tx)
}

/** Renames looked at again for events that came late; a registry that renames more in that time is not GitLab. */
const MOST = 1_000

type Kept = Pick<SeenRename, 'event' | 'registry' | 'what' | 'from' | 'to' | 'at'>

/**
 * Carries out new renames, and those since a time again for what came late: events of before a rename that tell of the old
 * path. What a rename has moved, only a later one moves on, so renames that happened before it leave it alone.
 * @throws AggregateError when renames failed; the others were carried out.
 */
export const carryOutRenames = async (database: Database, { since }: { since: Date }): Promise<void> => {
  // With the first that is new all that happened after it: they may go on from where it leads.
  const { rows } = await sql<Omit<Kept, 'at'> & { at: string }>`
    select event_id as event, registry, what, from_name as from, to_name as to,
      (extract(epoch from at) * 1000000)::bigint as at
    from inventory.renames
    where at >= (select min(at) from inventory.renames where carried_at is null) or event_id in (
      select event_id from inventory.renames where at >= ${since} order by inventory.renames.at desc limit ${MOST}
    )
    order by inventory.renames.at, event_id
  `.execute(database.sql)
  await eachAlone(rows, async (row) => carryOut(database, { ...row, at: Number(row.at) }))
}

const carryOut = async (database: Database, kept: Kept): Promise<void> => {
  const { event, registry, from, to, at } = kept
  const waiting: string[] = []
  await eachAlone(await renamedBy(database.sql, kept), async (name) => {
    const moved = { registry, name: to + name.slice(from.length) }
    if (moved.name === name) return
    if (!(await moveRepository(database, { from: { registry, name }, to: moved, until: at }))) waiting.push(name)
  })
  if (waiting.length > 0) return
  await sql`update inventory.renames set carried_at = now() where event_id = ${event} and carried_at is null`.execute(
    database.sql,
  )
}

/** The paths that hold something of before a rename: the repository itself, or all below the namespace. */
const renamedBy = async (db: Sql, { registry, what, from, at }: Kept): Promise<string[]> => {
  // "0" follows "/" in the order of the names.
  const below = sql`name > ${`${from}/`} and name < ${`${from}0`}`
  const { rows } = await sql<{ name: string }>`
    select name from inventory.repositories r
    where registry = ${registry} and first_seen_at <= ${isoTime(at)}::timestamptz
      and (name = ${from} ${what === 'namespace' ? sql`or ${below}` : sql``})
      and ${isToBeMoved(at)}
    order by name
  `.execute(db)
  return rows.map(({ name }) => name)
}

import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { utcDay, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { createRecentMap } from '../../runtime/recent-map.js'
import type { FilledPart, StatementPart } from '../../storage/sql/statement-parts.js'

/** A name in `inventory.actors`. Changes contain only the id. */
export type SeenActor = { id: string; day: string; name: string; isStored: boolean }

/** Names whose number is remembered, so that a process stores one row per name and day. */
const REMEMBERED_NAMES = 20_000

/** The numbers that a process assigns to names of actors. */
export type Actors = {
  /** The name with its number for the UTC day of a moment. */
  of: (name: string, at: Micros) => SeenActor
  /** Is called after the names were stored. A name that is erased later is not stored again, because its day is too old. */
  learn: (seen: readonly WithActor[]) => void
  /** The names get other numbers, which are not stored. */
  forget: () => void
}

/**
 * Assigns a number to the name of an actor for one UTC day. The number is random and not computed from the name. Once the row
 * of `inventory.actors` is erased, no list of names and no key of the installation reveals whose number it was.
 */
export const createActors = (): Actors => {
  const remembered = createRecentMap<SeenActor>(REMEMBERED_NAMES)
  return {
    of: (name, at) => {
      const day = utcDay(at)
      const key = `${day} ${name}`
      const known = remembered.get(key)
      if (known) return known
      const actor = { id: randomBytes(8).readBigInt64BE().toString(), day, name, isStored: false }
      remembered.set(key, actor)
      return actor
    },
    learn: (seen) => {
      for (const { actor } of seen) if (actor) actor.isStored = true
    },
    forget: remembered.clear,
  }
}

type WithActor = { actor?: SeenActor }

const unstored = (seen: readonly WithActor[]): SeenActor[] => {
  const actors = new Map<string, SeenActor>()
  for (const { actor } of seen) if (actor && !actor.isStored) actors.set(actor.id, actor)
  return [...actors.values()]
}

const columnsOf = (actors: readonly SeenActor[]): string[][] => [
  actors.map(({ id }) => id),
  actors.map(({ day }) => day),
  actors.map(({ name }) => name),
]

/** The part of a batch's statement that stores the names of actors. */
export const ACTORS: StatementPart = {
  name: 'actors',
  provides: ['seen_actors'],
  requires: [],
  text: (p) => `
    seen_actors as (
      insert into inventory.actors (id, day, name)
      select * from unnest(${p(1)}::bigint[], ${p(2)}::date[], ${p(3)}::text[])
      on conflict do nothing
    )`,
}

/** The part with the names of actors that are not stored yet; empty if all are. */
export const fillActors = (seen: readonly WithActor[]): FilledPart[] => {
  const actors = unstored(seen)
  return actors.length === 0 ? [] : [{ part: ACTORS, values: columnsOf(actors) }]
}

/** Stores the names of actors of changes that are stored outside the statement of a batch. */
export const storeActors = async (tx: Sql, seen: readonly WithActor[]): Promise<void> => {
  const actors = unstored(seen)
  if (actors.length === 0) return
  const [ids, days, names] = columnsOf(actors)
  await sql`
    insert into inventory.actors (id, day, name)
    select * from unnest(${ids}::bigint[], ${days}::date[], ${names}::text[]) on conflict do nothing
  `.execute(tx)
}

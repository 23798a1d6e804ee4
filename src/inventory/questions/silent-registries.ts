import { sql } from 'kysely'
import { isoTime, microsOf } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import type { Asked, Question } from './question.js'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Small registries are not used on some days. If nothing is heard of one for longer, its notifications may not arrive any more. */
const LONGEST_SILENCE_MS = 7 * DAY_MS
/** After this time a note says since when nothing was heard. */
const NOTED_SILENCE_MS = DAY_MS
/** So many registries are named in notes. */
const MOST_NAMED = 3

/** Registries of which too little was heard to say what is unused, and sentences about these and others. */
type Silences = {
  /** Their names. */
  silent: readonly string[]
  /** Whether no other registry was asked for. */
  isAll: boolean
  notes: readonly string[]
}

const NONE: Silences = { silent: [], isAll: false, notes: [] }

/**
 * Of a question that offers what is unused: the registries of which nothing was heard lately, be it that nobody used them, or that their
 * notifications do not arrive. Lately is in the last seven days, or in the time that was asked for if it is shorter.
 */
export const silencesIn = async (db: Sql, { offersUnused }: Question, asked: Asked, now: Date): Promise<Silences> => {
  const { unused_for } = asked
  if (offersUnused === undefined || (offersUnused === 'with unused_for' && unused_for === undefined)) return NONE
  const registries = await lastHeard(db, asked)
  const askedFor = unused_for === undefined ? Infinity : now.getTime() - Date.parse(unused_for)
  const longest = Math.min(LONGEST_SILENCE_MS, askedFor)
  const silenceOf = (heardAt: Date | null): number => {
    const silence = heardAt ? now.getTime() - heardAt.getTime() : Infinity
    // The clock was ahead.
    return silence < -HOUR_MS ? Infinity : silence
  }
  const silent = registries.filter(({ heardAt }) => silenceOf(heardAt) > longest)
  const quiet = registries.filter((one) => silenceOf(one.heardAt) > NOTED_SILENCE_MS && !silent.includes(one))
  return {
    silent: silent.map(({ registry }) => registry),
    isAll: registries.length > 0 && silent.length === registries.length,
    notes: [
      ...named(silent, (registry, since) =>
        since === undefined
          ? `no event of ${registry} was ever received: what is in use is unknown, so that nothing of it is in this answer; set up its notifications`
          : `nothing was heard of ${registry} since ${since}: what was used since then is unknown, so that nothing of it is in this answer; check its notifications ("tallyman status")`,
      ),
      ...named(
        quiet,
        (registry, since = '') =>
          `nothing was heard of ${registry} since ${since}: if its notifications do not arrive, uses since then are unknown`,
      ),
    ],
  }
}

type Heard = { registry: string; heardAt: Date | null }

const named = (registries: readonly Heard[], sentence: (registry: string, since?: string) => string): string[] => {
  const more = registries.length - MOST_NAMED
  return [
    ...registries
      .slice(0, MOST_NAMED)
      .map(({ registry, heardAt }) => sentence(registry, heardAt ? isoTime(microsOf(heardAt)) : undefined)),
    ...(more > 0 ? [`the same is true of ${more} more registries ("tallyman registries")`] : []),
  ]
}

/** When each registry of the asked repositories was last heard. Names are found by one look into the index each. */
const lastHeard = async (db: Sql, { registry, repository_ids }: Asked): Promise<Heard[]> => {
  const ids = repository_ids?.split(',').filter(Boolean).map(Number)
  const names = ids
    ? sql`select distinct registry from inventory.repositories where id = any(${ids}::int[])`
    : sql`
        with recursive names as (
          (select registry from inventory.repositories where ${registry === undefined ? sql`true` : sql`registry = ${registry}`} order by registry limit 1)
          union all
          select (
            select r.registry from inventory.repositories r
            where r.registry > names.registry and ${registry === undefined ? sql`true` : sql`false`}
            order by r.registry limit 1
          )
          from names where names.registry is not null
        )
        select registry from names where registry is not null`
  const { rows } = await sql<Heard>`
    select n.registry, r.last_received_at as "heardAt" from (${names}) n left join receptions r on r.registry = n.registry
    order by n.registry
  `.execute(db)
  return rows
}

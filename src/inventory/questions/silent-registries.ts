import { sql } from 'kysely'
import { isoTime, microsOf } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { MOST_AHEAD_SECONDS } from '../../runtime/clock-ahead.js'
import type { Asked, Question } from './question.js'
import { repositoryIdsOf } from './sql-parts.js'

const DAY_MS = 86_400_000
/** Small registries are not used on some days. If a registry has no event for longer, its notifications may not arrive any more. */
export const LONGEST_SILENCE_DAYS = 7
/** After this time a note says since when a registry has no event. */
const NOTED_SILENCE_MS = DAY_MS
/** Registries that notes name, of each kind. */
const MOST_NAMED = 3

/** Which registries are left out of an answer, and notes about these and others. */
type Silences = {
  /** Names of the registries that are left out. */
  silent: readonly string[]
  /** Whether all registries of the query are left out. */
  isAll: boolean
  notes: readonly string[]
}

type Heard = {
  registry: string
  /** When the newest event happened that was received. */
  heardAt: Date | null
  /** The newest time of more than seven days without an event. */
  silentFrom: Date | null
  silentTo: Date | null
  /** When the newest complete reconcile began that stored what it found. */
  reconciledAt: Date | null
}

/** What is doubtful of a registry. All but `quiet` leave the registry out. */
type Doubt = 'silent' | 'uses' | 'pushes' | 'quiet'

const SENTENCES: Record<Doubt, (heard: Heard) => string> = {
  silent: ({ registry, heardAt }) =>
    heardAt === null
      ? `no event of ${registry} was ever received: what is in use is unknown, so that nothing of it is in this answer; set up its notifications`
      : `nothing was heard of ${registry} since ${timeOf(heardAt)}: what was used since then is unknown, so that nothing of it is in this answer; check its notifications ("tallyman status")`,
  uses: (heard) =>
    `${gapOf(heard)}: what was used then is unknown, so that nothing of it is in this answer until it was heard for as long`,
  pushes: (heard) =>
    `${gapOf(heard)}: what was pushed then is unknown, so that nothing of it is in this answer; "tallyman inventory reconcile --apply" asks a registry that has a url`,
  quiet: ({ registry, heardAt }) =>
    `nothing was heard of ${registry} since ${timeOf(heardAt)}: if its notifications do not arrive, uses since then are unknown`,
}

/**
 * Finds the registries whose rows a query may not offer for clean-up. Their events may have been lost, or nobody used them:
 * - `silent`: no event in the last seven days, or in the time of `unused_for` if that is shorter;
 * - `uses`: more than seven days without an event, within the time of `unused_for`, until the registry was heard for as long. An image
 *   that is always in use has been used again by then;
 * - `pushes`, if the query offers what nothing refers to: more than seven days without an event, until `reconcile --apply` has stored what
 *   the registry contains.
 */
export const silencesIn = async (db: Sql, { offers }: Question, asked: Asked, now: Date): Promise<Silences> => {
  const { unused_for } = asked
  if (offers === undefined || (offers === 'unused, with unused_for' && unused_for === undefined))
    return { silent: [], isAll: false, notes: [] }
  const since = unused_for === undefined ? -Infinity : Date.parse(unused_for)
  const registries = await lastHeard(db, asked)
  const byDoubt: Record<Doubt, Heard[]> = { silent: [], uses: [], pushes: [], quiet: [] }
  for (const heard of registries) {
    const doubt = doubtOf(heard, { since, now: now.getTime(), isOfPushes: offers === 'unreferenced' })
    if (doubt) byDoubt[doubt].push(heard)
  }
  const { silent, uses, pushes } = byDoubt
  const leftOut = [...silent, ...uses, ...pushes]
  return {
    silent: leftOut.map(({ registry }) => registry),
    isAll: registries.length > 0 && leftOut.length === registries.length,
    notes: (Object.keys(byDoubt) as Doubt[]).flatMap((doubt) => notesOf(byDoubt[doubt], SENTENCES[doubt])),
  }
}

/** `since`, the time of `unused_for`, and `now` are milliseconds since 1970. */
const doubtOf = (
  { heardAt, silentFrom, silentTo, reconciledAt }: Heard,
  { since, now, isOfPushes }: { since: number; now: number; isOfPushes: boolean },
): Doubt | undefined => {
  const silence = heardAt ? now - heardAt.getTime() : Infinity
  if (silence > Math.min(LONGEST_SILENCE_DAYS * DAY_MS, now - since)) return 'silent'
  // The clock was ahead when it was stored.
  if (silence < -MOST_AHEAD_SECONDS * 1000) return 'silent'
  if (silentFrom && silentTo) {
    const [from, to] = [silentFrom.getTime(), silentTo.getTime()]
    if (to > since && now - to < to - from) return 'uses'
    if (isOfPushes && !(reconciledAt && reconciledAt.getTime() > to)) return 'pushes'
  }
  return silence > NOTED_SILENCE_MS ? 'quiet' : undefined
}

const gapOf = ({ registry, silentFrom, silentTo }: Heard): string =>
  `nothing was heard of ${registry} from ${timeOf(silentFrom)} to ${timeOf(silentTo)}`

const timeOf = (at: Date | null): string => (at ? isoTime(microsOf(at)) : '')

const notesOf = (registries: readonly Heard[], sentence: (heard: Heard) => string): string[] => {
  const more = registries.length - MOST_NAMED
  return [
    ...registries.slice(0, MOST_NAMED).map(sentence),
    ...(more > 0 ? [`the same is true of ${more} more registries ("tallyman registries")`] : []),
  ]
}

/** When each registry of the query was last heard. Without a registry in the query, names are found by one look into the index each. */
const lastHeard = async (db: Sql, asked: Asked): Promise<Heard[]> => {
  const { registry } = asked
  const ids = repositoryIdsOf(asked)
  const names = ids
    ? sql`select distinct registry from inventory.repositories where id = any(${ids}::int[])`
    : registry !== undefined
      ? sql`select registry from inventory.repositories where registry = ${registry} limit 1`
      : ALL_NAMES
  const { rows } = await sql<Heard>`
    select n.registry, least(r.last_received_at, r.last_event_at) as "heardAt", r.silent_from as "silentFrom", r.silent_to as "silentTo",
      (
        select max(started_at) from inventory.reconciliations c
        where c.registry = n.registry and c.applied and c.finished_at is not null
      ) as "reconciledAt"
    from (${names}) n left join receptions r on r.registry = n.registry
    order by n.registry
  `.execute(db)
  return rows
}

const ALL_NAMES = sql`
  with recursive names as (
    (select registry from inventory.repositories order by registry limit 1)
    union all
    select (select r.registry from inventory.repositories r where r.registry > names.registry order by r.registry limit 1)
    from names where names.registry is not null
  )
  select registry from names where registry is not null`

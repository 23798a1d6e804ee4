import { sql } from 'kysely'
import { isoTime, microsOf } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import type { Asked, Question } from './question.js'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Small registries are not used on some days. Of one without an event for longer, the notifications may not arrive any more. */
export const LONGEST_SILENCE_DAYS = 7
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
 * Of a question that offers something for clean-up: the registries of which too little was heard, be it that nobody used them, or that their
 * events were lost. That is
 * - nothing in the last seven days, or in the time that was asked for if it is shorter;
 * - nothing for more than seven days within the time that was asked for, until the registry was heard for as long: who used an image all
 *   the time has used it again by then;
 * - for what nothing refers to: nothing for more than seven days, until `reconcile --apply` has stored what the registry contains.
 */
export const silencesIn = async (db: Sql, { offers }: Question, asked: Asked, now: Date): Promise<Silences> => {
  const { unused_for } = asked
  if (offers === undefined || (offers === 'unused, with unused_for' && unused_for === undefined)) return NONE
  const registries = await lastHeard(db, asked)
  const since = unused_for === undefined ? -Infinity : Date.parse(unused_for)
  const longest = Math.min(LONGEST_SILENCE_DAYS * DAY_MS, now.getTime() - since)
  const silenceOf = ({ heardAt }: Heard): number => {
    const silence = heardAt ? now.getTime() - heardAt.getTime() : Infinity
    // The clock was ahead.
    return silence < -HOUR_MS ? Infinity : silence
  }
  const silent = registries.filter((one) => silenceOf(one) > longest)
  const gapsOf = registries.filter((one) => !silent.includes(one) && one.silentTo !== null)
  const unused = gapsOf.filter((one) => isGapRecent(one, since, now))
  const unreferenced = gapsOf.filter((one) => offers === 'unreferenced' && !isReconciled(one) && !unused.includes(one))
  const leftOut = [...silent, ...unused, ...unreferenced]
  const quiet = registries.filter((one) => silenceOf(one) > NOTED_SILENCE_MS && !leftOut.includes(one))
  return {
    silent: leftOut.map(({ registry }) => registry),
    isAll: registries.length > 0 && leftOut.length === registries.length,
    notes: [
      ...named(silent, ({ registry, heardAt }) =>
        heardAt === null
          ? `no event of ${registry} was ever received: what is in use is unknown, so that nothing of it is in this answer; set up its notifications`
          : `nothing was heard of ${registry} since ${timeOf(heardAt)}: what was used since then is unknown, so that nothing of it is in this answer; check its notifications ("tallyman status")`,
      ),
      ...named(
        unused,
        (one) =>
          `${gapOf(one)}: what was used then is unknown, so that nothing of it is in this answer until it was heard for as long`,
      ),
      ...named(
        unreferenced,
        (one) =>
          `${gapOf(one)}: what was pushed then is unknown, so that nothing of it is in this answer; "tallyman inventory reconcile --apply" asks a registry that has a url`,
      ),
      ...named(
        quiet,
        ({ registry, heardAt }) =>
          `nothing was heard of ${registry} since ${timeOf(heardAt)}: if its notifications do not arrive, uses since then are unknown`,
      ),
    ],
  }
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

const isGapRecent = ({ silentFrom, silentTo }: Heard, since: number, now: Date): boolean =>
  silentFrom !== null &&
  silentTo !== null &&
  silentTo.getTime() > since &&
  now.getTime() - silentTo.getTime() < silentTo.getTime() - silentFrom.getTime()

const isReconciled = ({ silentTo, reconciledAt }: Heard): boolean =>
  silentTo !== null && reconciledAt !== null && reconciledAt > silentTo

const gapOf = ({ registry, silentFrom, silentTo }: Heard): string =>
  `nothing was heard of ${registry} from ${timeOf(silentFrom)} to ${timeOf(silentTo)}`

const timeOf = (at: Date | null): string => (at ? isoTime(microsOf(at)) : '')

const named = (registries: readonly Heard[], sentence: (heard: Heard) => string): string[] => {
  const more = registries.length - MOST_NAMED
  return [
    ...registries.slice(0, MOST_NAMED).map(sentence),
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

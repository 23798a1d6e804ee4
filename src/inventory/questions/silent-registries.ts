import { sql } from 'kysely'
import { isoTime, microsOf } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { MOST_AHEAD_SECONDS } from '../../runtime/clock-ahead.js'
import type { QueryParameters, Question } from './question.js'
import { lastHeard, type Heard } from './last-heard.js'
import { IS_UNRECONCILED, unreconciledIn, type Unreconciled } from './sql-parts.js'
import { longestSilence, LONGEST_SILENCE_DAYS, newestLongGap, openGap, type Gap } from './unheard-times.js'

const DAY_MS = 86_400_000
/** After this time a note says since when a registry has no event. */
const NOTED_SILENCE_MS = DAY_MS
/** After a delayed event: its registry may have a queue, or another of its processes may. */
const BACKLOG_MS = DAY_MS
/** What `untagged-manifests` looks at without `unused_for`: see PULLED_LATELY. */
const USES_MS = 30 * DAY_MS
/** Registries that notes name, of each kind. */
const MOST_NAMED = 3

/** What is left out of an answer because it may be in use, and notes about it. */
type Silences = {
  /** Names of the registries that are left out. */
  silent: readonly string[]
  /** Registries of which the repositories are left out that were not reconciled since. */
  unreconciled: readonly Unreconciled[]
  /** Whether all registries of the query are left out. */
  isAll: boolean
  notes: readonly string[]
}

/** What is doubtful of a registry, and what a note says of it. `quiet` and `heard again` leave nothing out. */
type Doubt = {
  kind: 'silent' | 'no pulls' | 'uses' | 'pushes' | 'backlog' | 'quiet' | 'heard again'
  note: string
  gap?: Gap
}

/** What a query is about. Times are milliseconds since 1970. */
type Aim = {
  now: number
  /** Since when uses count, if the query offers what nobody used. */
  usedSince?: number
  /** Whether the query offers what nothing refers to. */
  isOfPushes: boolean
}

const aimOf = ({ offers }: Question, { unused_for }: QueryParameters, now: number): Aim | undefined => {
  if (offers === undefined || (offers === 'unused, with unused_for' && unused_for === undefined)) return undefined
  const isOfPushes = offers === 'unreferenced' || offers === 'unreferenced and unused'
  if (offers === 'unreferenced') return { now, isOfPushes }
  return { now, isOfPushes, usedSince: unused_for === undefined ? now - USES_MS : Date.parse(unused_for) }
}

/**
 * Finds of which registries and repositories a query may offer nothing for clean-up, because their events may have been lost:
 * - `silent`: no event in the last seven days, or in half of the time that the query is about if that is shorter;
 * - `no pulls`: the same for pulls, if the query is about uses: a registry need not report them (`ignore.actions`);
 * - `uses`: as long a time without an event, or without a pull, until the registry was heard for as long;
 * - `backlog`, if the query offers what nothing refers to: an event was received that had happened long before, within the last day;
 * - `pushes`, for such a query: seven days without an event, in repositories that `reconcile --apply` has not stored since then.
 */
export const silencesIn = async (db: Sql, question: Question, query: QueryParameters, now: Date): Promise<Silences> => {
  const aim = aimOf(question, query, now.getTime())
  if (!aim) return { silent: [], unreconciled: [], isAll: false, notes: [] }
  const registries = await lastHeard(db, query)
  const doubts = registries.flatMap((heard) =>
    doubtsOf(heard, aim).map((doubt) => ({ registry: heard.registry, ...doubt })),
  )
  const leftOut = doubts.filter(({ kind }) => LEAVES_OUT_ALL.has(kind))
  const unreconciled = await withRepositories(
    db,
    doubts.flatMap(({ kind, registry, gap }) => (kind === 'pushes' && gap ? [{ registry, ...affectedBy(gap) }] : [])),
  )
  const affected = new Set(unreconciled.map(({ registry }) => registry))
  return {
    silent: leftOut.map(({ registry }) => registry),
    unreconciled,
    isAll: registries.length > 0 && leftOut.length === registries.length,
    notes: notesOf(doubts.filter(({ kind, registry }) => kind !== 'pushes' || affected.has(registry))),
  }
}

const LEAVES_OUT_ALL: ReadonlySet<Doubt['kind']> = new Set(['silent', 'no pulls', 'uses', 'backlog'])

/** Those of which there are such repositories. */
const withRepositories = async (db: Sql, all: readonly Unreconciled[]): Promise<Unreconciled[]> => {
  if (all.length === 0) return []
  const { rows } = await sql<{ registry: string }>`
    select silence.registry from ${unreconciledIn(all)}
    where exists (select from inventory.repositories affected where ${IS_UNRECONCILED})
  `.execute(db)
  const names = new Set(rows.map(({ registry }) => registry))
  return all.filter(({ registry }) => names.has(registry))
}

const doubtsOf = (heard: Heard, aim: Aim): Doubt[] => {
  const ofAll = silenceOf(heard, aim) ?? unheardUses(heard, aim) ?? backlogOf(heard, aim)
  return ofAll ? [ofAll] : [unheardPushes(heard, aim), quietOf(heard, aim)].filter((doubt) => doubt !== undefined)
}

const silenceOf = ({ registry, heardAt }: Heard, { now, usedSince = -Infinity }: Aim): Doubt | undefined => {
  if (heardAt === null)
    return {
      kind: 'silent',
      note: `no event of ${registry} was ever received: what is in use is unknown, so that nothing of it is in this answer; set up its notifications`,
    }
  if (!isSilent(heardAt, now, longestSilence(usedSince, now))) return undefined
  return {
    kind: 'silent',
    note: `nothing was heard of ${registry} since ${timeOf(heardAt.getTime())}: what was used since then is unknown, so that nothing of it is in this answer; check its notifications ("tallyman status")`,
  }
}

/** Also if the clock was ahead when the time was stored. */
const isSilent = (at: Date, now: number, longest: number): boolean =>
  now - at.getTime() > longest || now - at.getTime() < -MOST_AHEAD_SECONDS * 1000

const unheardUses = (
  { registry, pullAt, gaps, pullGaps }: Heard,
  { now, usedSince: since }: Aim,
): Doubt | undefined => {
  if (since === undefined) return undefined
  if (pullAt === null || isSilent(pullAt, now, longestSilence(since, now)))
    return {
      kind: 'no pulls',
      note: `${pullAt === null ? `no pull of ${registry} was ever reported` : `no pull of ${registry} was reported since ${timeOf(pullAt.getTime())}`}: uses since then are unknown, so that nothing of it is in this answer; if its notifications leave out pulls (ignore.actions), let them in; a pull of any image shows that they arrive`,
    }
  for (const [times, what] of [
    [gaps, 'nothing was heard of'],
    [pullGaps, 'no pull was reported of'],
  ] as const) {
    const gap = openGap(times, { since, now })
    if (gap)
      return {
        kind: 'uses',
        gap,
        note: `${what} ${registry} ${spanOf(gap)}: what was used then is unknown, so that nothing of it is in this answer ${Number.isFinite(gap.from) ? 'until it was heard for as long' : 'for a time that begins before that'}`,
      }
  }
  return undefined
}

const backlogOf = ({ registry, lateAt }: Heard, { now, isOfPushes }: Aim): Doubt | undefined =>
  isOfPushes && lateAt && now - lateAt.getTime() < BACKLOG_MS
    ? {
        kind: 'backlog',
        note: `events of ${registry} arrived more than twelve hours late, the last at ${timeOf(lateAt.getTime())}: others may be on their way, so that nothing of it is in this answer for a day`,
      }
    : undefined

const unheardPushes = ({ registry, gaps }: Heard, { isOfPushes }: Aim): Doubt | undefined => {
  if (!isOfPushes) return undefined
  const gap = newestLongGap(gaps)
  return (
    gap && {
      kind: 'pushes',
      gap,
      note: `nothing was heard of ${registry} ${spanOf(gap)}: what was pushed then is unknown, so that its repositories that were not reconciled since are not in this answer; "tallyman inventory reconcile --apply" reads a registry that has a url`,
    }
  )
}

const quietOf = ({ registry, heardAt, gaps }: Heard, { now, usedSince }: Aim): Doubt | undefined => {
  if (heardAt && now - heardAt.getTime() > NOTED_SILENCE_MS)
    return {
      kind: 'quiet',
      note: `nothing was heard of ${registry} since ${timeOf(heardAt.getTime())}: if its notifications do not arrive, uses since then are unknown`,
    }
  const gap = newestLongGap(gaps)
  return usedSince !== undefined && gap && gap.to > usedSince
    ? {
        kind: 'heard again',
        note: `nothing was heard of ${registry} ${spanOf(gap)}: what was used only then is in this answer`,
      }
    : undefined
}

/**
 * A repository that was first seen when the gap was over is not affected by it; nor, before the first event of all, one that was seen
 * less than a week before.
 */
const affectedBy = ({ from, to }: Gap): Omit<Unreconciled, 'registry'> => ({
  since: new Date(to).toISOString(),
  seenBefore: new Date(Number.isFinite(from) ? to : to - LONGEST_SILENCE_DAYS * DAY_MS).toISOString(),
})

const spanOf = ({ from, to }: Gap): string =>
  Number.isFinite(from) ? `from ${timeOf(from)} to ${timeOf(to)}` : `before ${timeOf(to)}`

const timeOf = (ms: number): string => isoTime(microsOf(new Date(ms)))

/** The sentences of each kind, of the first registries that it is true of. */
const notesOf = (doubts: readonly Doubt[]): string[] => {
  const kinds = [...new Set(doubts.map(({ kind }) => kind))]
  return kinds.flatMap((kind) => {
    const notes = doubts.flatMap((doubt) => (doubt.kind === kind ? [doubt.note] : []))
    const more = notes.length - MOST_NAMED
    return [
      ...notes.slice(0, MOST_NAMED),
      ...(more > 0 ? [`the same is true of ${more} more registries ("tallyman registries")`] : []),
    ]
  })
}

import { sql } from 'kysely'
import { isoTime, microsOf, MS_PER_DAY } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { MOST_AHEAD_SECONDS } from '../../runtime/clock-ahead.js'
import type { QueryParameters, Question } from './question.js'
import { lastHeard, type Heard } from './last-heard.js'
import { silentProcessNotes } from './silent-processes.js'
import type { Undecided } from '../model/undecided.js'
import { setAsideAnywhereNotes, setAsideNotes } from './set-aside-events.js'
import { undecidedNotes } from './undecided-requests.js'
import { IS_UNRECONCILED, unreconciledIn, type Unreconciled } from './sql-parts.js'
import { longestSilence, LONGEST_SILENCE_DAYS, newestLongGap, openGap, type Gap } from './unheard-times.js'

/** If a registry has sent no event for longer, a note in the answer contains the time of its last event. */
const NOTED_SILENCE_MS = MS_PER_DAY
/** How long after a delayed event the registry, or another of its processes, may still have events in its queue. */
const BACKLOG_MS = MS_PER_DAY
/** The period of uses that `untagged-manifests` considers without `unused_for`: see PULLED_LATELY. */
const USES_MS = 30 * MS_PER_DAY
/** The largest number of registries that the notes of one kind name. */
const MOST_NAMED = 3

/** The registries and repositories that an answer leaves out because their objects may be in use, and the notes about them. */
type Silences = {
  /** Names of the registries that are left out. */
  silent: readonly string[]
  /** Registries whose repositories are left out unless they were reconciled since. */
  unreconciled: readonly Unreconciled[]
  /** The requests of unknown objects and the set-aside events because of which repositories are left out, if there are such repositories. */
  undecided?: Undecided
  /** Whether all registries of the query are left out. */
  isAll: boolean
  notes: readonly string[]
}

/** Why events of a registry may have been lost, and the note about it. The kinds `quiet` and `heard again` leave nothing out. */
type Doubt = {
  kind: 'silent' | 'no pulls' | 'uses' | 'pushes' | 'backlog' | 'quiet' | 'heard again'
  note: string
  gap?: Gap
}

/** The period and the purpose of a query. Times are milliseconds since 1970. */
type Aim = {
  now: number
  /** The start of the period of uses, if the query offers unused objects. */
  usedSince?: number
  /** Whether the query offers objects to which nothing refers. */
  isOfPushes: boolean
}

const aimOf = ({ offers }: Question, { unused_for }: QueryParameters, now: number): Aim | undefined => {
  if (offers === undefined || (offers === 'unused, with unused_for' && unused_for === undefined)) return undefined
  const isOfPushes = offers === 'unreferenced' || offers === 'unreferenced and unused'
  if (offers === 'unreferenced') return { now, isOfPushes }
  return { now, isOfPushes, usedSince: unused_for === undefined ? now - USES_MS : Date.parse(unused_for) }
}

/**
 * Finds the registries and repositories of which a query must offer nothing for clean-up, because their events may have been
 * lost:
 * - `silent`: no event in the last seven days, or in half of the query's period if that is shorter;
 * - `no pulls`: the same for pulls, if the query is about uses: a registry need not report pulls (`ignore.actions`);
 * - `uses`: an earlier period of the same length without an event, or without a pull, that has not been followed by an equally
 * long period with events;
 * - `backlog`, if the query offers objects to which nothing refers: within the last day, an event arrived long after it had
 * happened;
 * - `pushes`, for the same queries: seven days without an event. Repositories that `reconcile --apply` has stored since then are
 * not left out.
 *
 * Also finds repositories with an event that does not show which object it is about (undecided-requests.ts), and with a set-aside event
 * (set-aside-events.ts).
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
  const undecided = { since: new Date(aim.usedSince ?? aim.now - USES_MS).toISOString(), isOfTags: aim.isOfPushes }
  const undecidedIn = [...(await undecidedNotes(db, query, undecided)), ...(await setAsideNotes(db, query, undecided))]
  const silent = new Set(leftOut.map(({ registry }) => registry))
  const offered = registries.map(({ registry }) => registry).filter((registry) => !silent.has(registry))
  const affected = new Set(unreconciled.map(({ registry }) => registry))
  return {
    silent: [...silent],
    unreconciled,
    ...(undecidedIn.length > 0 && { undecided }),
    isAll: registries.length > 0 && leftOut.length === registries.length,
    notes: [
      ...notesOf(doubts.filter(({ kind, registry }) => kind !== 'pushes' || affected.has(registry))),
      ...(await silentProcessNotes(db, offered, now)),
      ...undecidedIn,
      ...(await setAsideAnywhereNotes(db, query, undecided)),
    ],
  }
}

const LEAVES_OUT_ALL: ReadonlySet<Doubt['kind']> = new Set(['silent', 'no pulls', 'uses', 'backlog'])

/** The registries that have repositories which were not reconciled since their gap. */
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
      note: `no event of ${registry} ever arrived: its uses are unknown, so this answer leaves out the registry; set up its notifications`,
    }
  if (!isSilent(heardAt, now, longestSilence(usedSince, now))) return undefined
  return {
    kind: 'silent',
    note: `no event of ${registry} arrived since ${timeOf(heardAt.getTime())}: its uses since then are unknown, so this answer leaves out the registry; check its notifications ("tallyman status")`,
  }
}

/** Also true if the clock was ahead when the time was stored. */
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
      note: `${pullAt === null ? `no pull of ${registry} was ever reported` : `no pull of ${registry} was reported since ${timeOf(pullAt.getTime())}`}: its uses are unknown, so this answer leaves out the registry; if its notifications exclude pulls (ignore.actions), include them; a pull of any image shows that they arrive`,
    }
  for (const [times, what] of [
    [gaps, 'event'],
    [pullGaps, 'pull'],
  ] as const) {
    const gap = openGap(times, { since, now })
    if (gap)
      return {
        kind: 'uses',
        gap,
        note: `no ${what} of ${registry} arrived ${spanOf(gap)}: its uses in that time are unknown, so this answer leaves out the registry${Number.isFinite(gap.from) ? ` until its ${what}s have arrived for as long` : '; choose an age that begins later'}`,
      }
  }
  return undefined
}

const backlogOf = ({ registry, lateAt }: Heard, { now, isOfPushes }: Aim): Doubt | undefined =>
  isOfPushes && lateAt && now - lateAt.getTime() < BACKLOG_MS
    ? {
        kind: 'backlog',
        note: `events of ${registry} arrived more than twelve hours late, the last at ${timeOf(lateAt.getTime())}: more late events may arrive, so answers leave out the registry for a day`,
      }
    : undefined

const unheardPushes = ({ registry, gaps }: Heard, { isOfPushes }: Aim): Doubt | undefined => {
  if (!isOfPushes) return undefined
  const gap = newestLongGap(gaps)
  return (
    gap && {
      kind: 'pushes',
      gap,
      note: `no event of ${registry} arrived ${spanOf(gap)}: its pushes in that time are unknown, so this answer leaves out its repositories until they are reconciled; "tallyman inventory reconcile --apply" does this for a registry that has a url`,
    }
  )
}

const quietOf = ({ registry, heardAt, gaps }: Heard, { now, usedSince }: Aim): Doubt | undefined => {
  if (heardAt && now - heardAt.getTime() > NOTED_SILENCE_MS)
    return {
      kind: 'quiet',
      note: `no event of ${registry} arrived since ${timeOf(heardAt.getTime())}: if its notifications do not arrive, uses since then are unknown`,
    }
  const gap = newestLongGap(gaps)
  return usedSince !== undefined && gap && gap.to > usedSince
    ? {
        kind: 'heard again',
        note: `no event of ${registry} arrived ${spanOf(gap)}: images that were used only in that time are in this answer`,
      }
    : undefined
}

/**
 * The repositories that a gap affects. A repository that was first seen after the gap is not affected. For the gap before the
 * first event, a repository that was first seen less than a week before the end of the gap is not affected either.
 */
const affectedBy = ({ from, to }: Gap): Omit<Unreconciled, 'registry'> => ({
  since: new Date(to).toISOString(),
  seenBefore: new Date(Number.isFinite(from) ? to : to - LONGEST_SILENCE_DAYS * MS_PER_DAY).toISOString(),
})

const spanOf = ({ from, to }: Gap): string =>
  Number.isFinite(from) ? `from ${timeOf(from)} to ${timeOf(to)}` : `before ${timeOf(to)}`

const timeOf = (ms: number): string => isoTime(microsOf(new Date(ms)))

/** The notes, grouped by kind. For each kind, only the first registries are named. */
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

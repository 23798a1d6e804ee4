import { MICROS_PER_SECOND, microsOf, type Micros } from '../../events/calendar.js'
import type { EventId, RegistryEvent } from '../../events/registry-event.js'
import type { Database } from '../../storage/sql/database.js'
import { createRecentMap } from '../../runtime/recent-map.js'
import type { NewestTime } from '../model/newest-time.js'
import { scopeOf, withBatch } from './newest-times.js'
import {
  claimTimes,
  clockOf,
  later,
  NEVER_AHEAD,
  readStoredTimes,
  type Clock,
  type StoredTimes,
} from './stored-times.js'

/** When a delivery arrived, by the clock of the service. */
export type Arrival = {
  arrivedAt: Micros
  /** Whether the clock had been set back by then: it showed more than a minute before an earlier arrival or what was recorded. */
  isSetBack: boolean
}

/** An event, and this delivery of it. */
export type Arrived = Arrival & { event: RegistryEvent }

/**
 * Returns the events with the times that count for state, in the same order. Most events keep their own time and are returned
 * unchanged. The clock of a registry may be ahead, and the clock of this service may be behind. A service cannot distinguish
 * the two. These rules keep the order of arrival in both cases:
 * - For state, an event that is more than half a second ahead happened when it first arrived, but later than everything that is
 *   recorded in its repository. Events of one envelope keep the order of their own times.
 * - If the clock of a registry process was ahead, an event of that process that arrives later happened later, whatever its time
 *   is: the clock may have been set right in between.
 * - If the clock of this service was set back by more than a minute, so may the clock of a registry on the same machine have been. An event
 *   that just happened by both clocks also happened later than everything that is recorded in its repository.
 *
 * The decision for an event is stored with its id before the event is stored, so a repeat that arrives later gets the same time.
 * An event whose time is trusted costs a look-up in memory. Every ten seconds, each clock costs a look-up in the database. Until
 * then, another service may not know that a clock is ahead. After this service's clock was set back, each batch costs a look-up.
 */
export type StateTimes = (arrived: readonly Arrived[]) => Promise<RegistryEvent[]> | RegistryEvent[]

/** Clocks that are remembered. Other clocks are read from the database. */
const REMEMBERED_CLOCKS = 10_000
/** After this time, the clock is read again: another service may have found that it is ahead. */
const REMEMBERED_MS = 10_000
/**
 * Clocks that are synchronized by NTP differ by less. An event that is no further ahead keeps its time, which costs no
 * statement.
 */
const TRUSTED_LEAD = MICROS_PER_SECOND / 2
/**
 * If what is recorded is ahead of the clock by more, the clock was set back. An event that is older at its arrival was delayed. Clocks
 * of services that share a database, and deliveries, differ by less.
 */
const SET_BACK = 60 * MICROS_PER_SECOND
/** Stored times have microseconds, and the clock has milliseconds: an event of the current millisecond is not ahead. */
const REST_OF_MILLISECOND = 999

/** The time of an arrival. */
export const arrivalAt = (now: Date): Micros => microsOf(now) + REST_OF_MILLISECOND

/**
 * Returns a function that notes an arrival. An arrival may stay in the queue for longer than a minute, so whether the clock was set back is
 * decided when it arrives, in the order of arrival. Asynchronous only if the newest recorded time has to be read: after a lost
 * connection, and once a minute while only this time shows that the clock was set back. `reconcile` may have lowered it.
 */
export const createArrivals = (recorded: NewestTime): ((now: Date) => Arrival | Promise<Arrival>) => {
  let newestArrival = -Infinity
  return (now) => {
    const arrivedAt = arrivalAt(now)
    const isBefore = (at: Micros): boolean => arrivedAt + SET_BACK < at
    if (isBefore(newestArrival)) return { arrivedAt, isSetBack: true }
    newestArrival = Math.max(newestArrival, arrivedAt)
    const known = recorded.known()
    if (known !== undefined && !isBefore(known)) return { arrivedAt, isSetBack: false }
    return recorded.read().then((at) => ({ arrivedAt, isSetBack: isBefore(at) }))
  }
}

const isAhead = ({ event, arrivedAt }: Arrived): boolean => event.at > arrivedAt + TRUSTED_LEAD

/** @param elapsed milliseconds of a monotonic clock: the time of an arrival may be older by the time in the queue */
export const createStateTimes = (
  { run, losses }: Pick<Database, 'run' | 'losses'>,
  elapsed = (): number => performance.now(),
): StateTimes => {
  const clocks = createRecentMap<Clock & { readAt: Micros }>(REMEMBERED_CLOCKS)
  losses.onLoss(clocks.clear)

  const isTrusted = (one: Arrived): boolean => {
    const clock = clocks.get(clockOf(one.event))
    if (clock === undefined || elapsed() - clock.readAt > REMEMBERED_MS) return false
    return !one.isSetBack && !isAhead(one) && one.event.at > Math.max(clock.floor, clock.aheadUntil)
  }

  const decide = async (
    arrived: readonly Arrived[],
    doubtful: ReadonlySet<string>,
  ): Promise<ReadonlyMap<EventId, Micros>> => {
    const lossesBefore = losses.count()
    const readAt = elapsed()
    const inDoubt = arrived.filter(({ event }) => doubtful.has(clockOf(event)))
    const bounded = inDoubt.filter((one) => isAhead(one) || one.isSetBack)
    const stored = await readStoredTimes(run, inDoubt.map(eventOf), bounded.map(eventOf))
    const decided = decideTimes(inOrderOfClock(arrived), doubtful, stored)
    const first = decided.times.size > 0 ? await claimTimes(run, decided) : decided.times
    for (const { event } of losses.count() === lossesBefore ? inDoubt : []) {
      const name = clockOf(event)
      const clock = later(clocks.get(name), decided.clocks.get(name) ?? stored.clocks.get(name))
      clocks.set(name, { ...clock, readAt })
    }
    return new Map([...decided.recorded, ...first, ...stored.times])
  }

  return (arrived) => {
    const doubtful = new Set(arrived.flatMap((one) => (isTrusted(one) ? [] : clockOf(one.event))))
    if (doubtful.size === 0) return arrived.map(({ event }) => event)
    return decide(arrived, doubtful).then((times) =>
      arrived.map(({ event }) => withTime(event, times.get(event.id) ?? event.at)),
    )
  }
}

const eventOf = ({ event }: Arrived): RegistryEvent => event

const withTime = (event: RegistryEvent, at: Micros): RegistryEvent => (at === event.at ? event : { ...event, at })

/** Returns events in the order of arrival. Events of one arrival whose clock is ahead are in the order of their own times. */
const inOrderOfClock = (arrived: readonly Arrived[]): Arrived[] => {
  const groups = new Map<string, Arrived[]>()
  for (const one of arrived) {
    if (!isAhead(one)) continue
    const key = `${one.arrivedAt} ${clockOf(one.event)}`
    const group = groups.get(key)
    if (group) group.push(one)
    else groups.set(key, [one])
  }
  for (const group of groups.values()) group.sort((a, b) => b.event.at - a.event.at).reverse()
  return arrived.map((one) =>
    isAhead(one) ? (groups.get(`${one.arrivedAt} ${clockOf(one.event)}`)?.shift() ?? one) : one,
  )
}

type Decided = {
  /** Times of events that arrive for the first time. */
  times: Map<EventId, Micros>
  /**
   * Times of repeats that were recorded with their own time. That time may be in the future if an older version recorded it.
   */
  recorded: Map<EventId, Micros>
  clocks: Map<string, Clock>
}

/**
 * @param arrived all events of a batch
 * @param doubtful the clocks whose events are decided. The others keep their own times
 */
const decideTimes = (arrived: readonly Arrived[], doubtful: ReadonlySet<string>, stored: StoredTimes): Decided => {
  const decided: Decided = { times: new Map(), recorded: new Map(), clocks: new Map() }
  /** The newest time decided in this batch, so that events without a process keep their order, too. */
  const newest = new Map<string, Micros>()
  /** The newest times with those of this batch. */
  const until = withBatch(
    stored.newest,
    arrived.some(({ event }) => event.rename !== undefined),
  )
  for (const one of arrived) {
    const { event, arrivedAt } = one
    const name = clockOf(event)
    const clock = decided.clocks.get(name) ?? stored.clocks.get(name) ?? NEVER_AHEAD
    const floor = newest.get(name) ?? (event.instance === undefined ? -Infinity : clock.floor)
    const isLast = isAhead(one) || isAfterSetBack(one, until.of(event))
    const known = stored.times.get(event.id)
    if (known !== undefined || !doubtful.has(name) || (!isLast && event.at > floor)) {
      until.add(event, known ?? event.at)
      continue
    }
    if (stored.recorded.has(event.id)) {
      const latest = Math.max(arrivedAt, stored.newest.get(scopeOf(event)) ?? -Infinity)
      decided.recorded.set(event.id, isAhead(one) ? Math.min(event.at, latest) : event.at)
      continue
    }
    // The floor does not contain what is recorded in the repository: a wrong time there is no reason to change others.
    const base = Math.max(floor + 1, isAhead(one) ? arrivedAt : isLast ? event.at : -Infinity)
    const at = isLast ? Math.max(base, until.of(event) + 1) : base
    newest.set(name, base)
    until.add(event, at)
    decided.times.set(event.id, at)
    decided.clocks.set(name, later(clock, { floor: base, aheadUntil: isLast ? event.at : -Infinity }))
  }
  return decided
}

/** Whether an event just happened by the clocks of the registry and the service, although later times are recorded in its repository. */
const isAfterSetBack = ({ event, arrivedAt, isSetBack }: Arrived, recorded: Micros): boolean =>
  isSetBack && recorded > arrivedAt + SET_BACK && event.at > arrivedAt - SET_BACK

/** The holder of a token, and the registry of the events that it sends. A holder may invent any number of registries. */
export type Submitter = { holder: string; registry: string }

/** Pending arrivals, in queues by submitter. */
export type TurnsOfSubmitters<Arrival> = {
  push: (submitter: Submitter, arrival: Arrival) => void
  /**
   * Takes a batch of arrivals with a total weight of at most `most`. All holders get about the same share of the batch, and all
   * registries of a holder about the same part of its share. The first arrival is taken even if it is heavier than `most`. If a
   * submitter gets nothing because its next arrival does not fit, it comes first in the next batch.
   */
  take: (most: number) => Arrival[]
  takeAll: () => Arrival[]
  /** The weight of all pending arrivals, of a holder's arrivals, or of the arrivals of one of its registries. */
  weight: (of?: Partial<Submitter>) => number
}

type Weighted = { weight: number }

/** The pending arrivals of one submitter, or of several submitters that take turns. */
type Queue<Arrival> = {
  /** @param path the names of the queues inside this one, down to the queue of the submitter */
  push: (path: readonly string[], arrival: Arrival) => void
  weight: (path: readonly string[]) => number
  /** The weight of the next arrival. */
  nextWeight: () => number
  /** Takes the next arrival, whatever its weight. */
  takeNext: () => Arrival | undefined
  /** Takes arrivals with a total weight of at most `most`. */
  takeFitting: (most: number) => Arrival[]
  /** Ends a batch. @returns whether the batch contains an arrival of this queue */
  endBatch: () => boolean
  /** Whether arrivals are pending, and the last batch contained none of this queue. */
  isOverdue: () => boolean
}
/** A queue of queues. */
type Turns<Arrival> = Queue<Arrival> & {
  hasOverdue: () => boolean
  /** Takes the next arrival of each overdue queue, up to the first arrival that does not fit. */
  takeOverdue: (most: number) => { batch: Arrival[]; isBlocked: boolean }
}

/** A batch is filled in so many rounds. In each round, each holder may add at most `most / rounds`. */
const ROUNDS_OF_HOLDERS = 8
/** The number of rounds in which the registries of a holder share what the holder gets in one round. */
const ROUNDS_OF_REGISTRIES = 2

/** The arrivals of one registry stay in their order. No registry waits until all arrivals of another registry are taken. */
export const createTurnsOfSubmitters = <Arrival extends Weighted>(): TurnsOfSubmitters<Arrival> => {
  let holders = createTurns(ROUNDS_OF_HOLDERS, createHolder<Arrival>)
  return {
    push: ({ holder, registry }, arrival) => {
      holders.push([holder, registry], arrival)
    },
    take: (most) => {
      const overdue = holders.hasOverdue() ? holders.takeNext() : undefined
      const fitting = holders.takeFitting(most - (overdue?.weight ?? 0))
      const first = overdue ?? (fitting.length === 0 ? holders.takeNext() : undefined)
      holders.endBatch()
      return first ? [first, ...fitting] : fitting
    },
    takeAll: () => {
      const arrivals = holders.takeFitting(Infinity)
      holders = createTurns(ROUNDS_OF_HOLDERS, createHolder<Arrival>)
      return arrivals
    },
    weight: ({ holder, registry } = {}) => holders.weight([holder, registry].filter((name) => name !== undefined)),
  }
}

/** The queue whose turn it is: one that got nothing in the last batch, or else the first with pending arrivals. */
const firstOf = <Arrival>(queues: Iterable<Queue<Arrival>>): Queue<Arrival> | undefined => {
  let first: Queue<Arrival> | undefined
  for (const queue of queues) {
    if (queue.isOverdue()) return queue
    if (queue.weight([]) > 0) first ??= queue
  }
  return first
}

/**
 * The registries of a holder. If the next arrival of an overdue registry does not fit, the holder gets nothing more in this batch,
 * and its next share begins with that registry. A holder that got nothing at all is overdue itself. So a holder with many registries
 * delays other holders no longer than a holder with one.
 */
const createHolder = <Arrival extends Weighted>(): Queue<Arrival> => {
  const registries = createTurns(ROUNDS_OF_REGISTRIES, createLine<Arrival>)
  const takeFitting = (most: number): Arrival[] => {
    const { batch, isBlocked } = registries.takeOverdue(most)
    return isBlocked ? batch : batch.concat(registries.takeFitting(most - weightOf(batch)))
  }
  return { ...registries, takeFitting }
}

/**
 * Queues that take turns. The queue that has received least comes first, so that all receive the same over several batches. A new
 * queue begins with the total of the queue that has received least.
 */
const createTurns = <Arrival extends Weighted>(rounds: number, create: () => Queue<Arrival>): Turns<Arrival> => {
  const queues = new Map<string, Queue<Arrival>>()
  let waiting = 0
  let isOverdue = false
  /** The total weight that each queue has received. */
  const received = new Map<Queue<Arrival>, number>()
  let least = 0

  const taken = (queue: Queue<Arrival>, arrivals: readonly Arrival[]): number => {
    const weight = weightOf(arrivals)
    waiting -= weight
    received.set(queue, (received.get(queue) ?? 0) + weight)
    return weight
  }
  return {
    push: ([name = '', ...path], arrival) => {
      const queue = queues.get(name) ?? create()
      if (!queues.has(name)) received.set(queue, least)
      queues.set(name, queue)
      queue.push(path, arrival)
      waiting += arrival.weight
    },
    weight: ([name, ...path]) => (name === undefined ? waiting : (queues.get(name)?.weight(path) ?? 0)),
    nextWeight: () => firstOf(queues.values())?.nextWeight() ?? 0,
    takeNext: () => {
      const first = firstOf(queues.values())
      const next = first?.takeNext()
      if (first && next) taken(first, [next])
      return next
    },
    takeFitting: (most) => {
      const batch: Arrival[] = []
      const sums = new Map<Queue<Arrival>, number>()
      let left = most
      for (let round = 1; round <= rounds && left > 0 && waiting > 0; round++) {
        for (const queue of queues.values()) {
          const sum = sums.get(queue) ?? 0
          const arrivals = queue.takeFitting(Math.min(left, (most * round) / rounds - sum))
          if (arrivals.length === 0) continue
          const weight = taken(queue, arrivals)
          sums.set(queue, sum + weight)
          left -= weight
          for (const arrival of arrivals) batch.push(arrival)
        }
      }
      return batch
    },
    endBatch: () => {
      const served = [...queues].filter(([, queue]) => queue.endBatch())
      for (const [name, queue] of served) {
        if (queue.weight([]) > 0) continue
        queues.delete(name)
        received.delete(queue)
      }
      const order = [...queues].sort(([, a], [, b]) => (received.get(a) ?? 0) - (received.get(b) ?? 0))
      queues.clear()
      for (const [name, queue] of order) queues.set(name, queue)
      least = order[0] ? (received.get(order[0][1]) ?? 0) : 0
      const isServed = served.length > 0
      isOverdue = !isServed && waiting > 0
      return isServed
    },
    isOverdue: () => isOverdue,
    takeOverdue: (most) => {
      const batch: Arrival[] = []
      let left = most
      for (const queue of queues.values()) {
        if (!queue.isOverdue()) continue
        if (queue.nextWeight() > left) return { batch, isBlocked: true }
        const next = queue.takeNext()
        if (!next) continue
        left -= taken(queue, [next])
        batch.push(next)
      }
      return { batch, isBlocked: false }
    },
    hasOverdue: () => [...queues.values()].some((queue) => queue.isOverdue()),
  }
}

const weightOf = (arrivals: readonly Weighted[]): number => arrivals.reduce((sum, { weight }) => sum + weight, 0)

/** The arrivals of one registry, in their order. */
const createLine = <Arrival extends Weighted>(): Queue<Arrival> => {
  const arrivals: Arrival[] = []
  let waiting = 0
  let isServed = false
  let isOverdue = false

  const takeNext = (): Arrival | undefined => {
    const next = arrivals.shift()
    if (!next) return undefined
    waiting -= next.weight
    isServed = true
    isOverdue = false
    return next
  }
  return {
    push: (_path, arrival) => {
      arrivals.push(arrival)
      waiting += arrival.weight
    },
    weight: () => waiting,
    nextWeight: () => arrivals[0]?.weight ?? 0,
    takeNext,
    takeFitting: (most) => {
      const fitting: Arrival[] = []
      let left = most
      for (let next = arrivals[0]; next && next.weight <= left; next = arrivals[0]) {
        left -= next.weight
        fitting.push(next)
        takeNext()
      }
      return fitting
    },
    endBatch: () => {
      const wasServed = isServed
      isOverdue = !isServed && waiting > 0
      isServed = false
      return wasServed
    },
    isOverdue: () => isOverdue,
  }
}

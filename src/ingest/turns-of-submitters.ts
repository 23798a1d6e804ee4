/** Who submits: the holder of a token, and the registry for which it submits. A holder may invent as many registries as it likes. */
export type Submitter = { holder: string; registry: string }

/** What waits, by who submitted it. */
export type TurnsOfSubmitters<Arrival> = {
  push: (submitter: Submitter, arrival: Arrival) => void
  /**
   * Takes arrivals that together weigh no more than `most`: of each holder about as much as of every other, and of a holder's part about
   * as much of each registry. The first arrival always fits. Who gets nothing, since nothing of theirs fits any more, is the first the
   * next time.
   */
  take: (most: number) => Arrival[]
  takeAll: () => Arrival[]
  /** The weight of what waits in all, of a holder, or of one of its registries. */
  weight: (of?: Partial<Submitter>) => number
}

type Weighted = { weight: number }

/** What waits of one submitter, or of several that take turns. */
type Queue<Arrival> = {
  /** @param path leads to the queue of the submitter */
  push: (path: readonly string[], arrival: Arrival) => void
  weight: (path: readonly string[]) => number
  /** The weight of the next arrival. */
  nextWeight: () => number
  /** The next arrival, whatever it weighs. */
  takeNext: () => Arrival | undefined
  /** Arrivals that together weigh no more than `most`. */
  takeFitting: (most: number) => Arrival[]
  /** Ends a batch. @returns whether something of the queue was taken in it */
  endBatch: () => boolean
  /** Whether something waits, and nothing of the queue was taken in the last batch. */
  isOverdue: () => boolean
}
/** A queue of queues. */
type Turns<Arrival> = Queue<Arrival> & {
  hasOverdue: () => boolean
  /** The next arrival of each queue that is overdue, up to the first one that does not fit. */
  takeOverdue: (most: number) => { batch: Arrival[]; isBlocked: boolean }
}

/** Rounds in which a batch is filled from holders. In each, a holder may have an equal part of it more. */
const ROUNDS_OF_HOLDERS = 8
/** The same for the registries of a holder: they share what the holder gets in one of its rounds. */
const ROUNDS_OF_REGISTRIES = 2

/** Keeps the arrivals of each registry in their order. No registry waits until all arrivals of another registry are taken. */
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

/** Of what takes turns: the one that got nothing in the last batch, else the first. */
const firstOf = <Arrival>(queues: Iterable<Queue<Arrival>>): Queue<Arrival> | undefined => {
  let first: Queue<Arrival> | undefined
  for (const queue of queues) {
    if (queue.isOverdue()) return queue
    if (queue.weight([]) > 0) first ??= queue
  }
  return first
}

/**
 * The registries of a holder. If one of them is overdue, and its next arrival does not fit, nothing of the holder is taken: the holder is
 * overdue then, and its registry the first. So many registries of one holder delay another holder no longer than one of them.
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
 * Queues that take turns. The first one is the one that has got least since it began to wait, so that over several batches all get the
 * same. A queue that begins to wait has got as little as that one.
 */
const createTurns = <Arrival extends Weighted>(rounds: number, create: () => Queue<Arrival>): Turns<Arrival> => {
  const queues = new Map<string, Queue<Arrival>>()
  let waiting = 0
  let isOverdue = false
  /** The weight that each queue has got. */
  const got = new Map<Queue<Arrival>, number>()
  let least = 0

  const taken = (queue: Queue<Arrival>, arrivals: readonly Arrival[]): number => {
    const weight = weightOf(arrivals)
    waiting -= weight
    got.set(queue, (got.get(queue) ?? 0) + weight)
    return weight
  }
  return {
    push: ([name = '', ...path], arrival) => {
      const queue = queues.get(name) ?? create()
      if (!queues.has(name)) got.set(queue, least)
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
        got.delete(queue)
      }
      const order = [...queues].sort(([, a], [, b]) => (got.get(a) ?? 0) - (got.get(b) ?? 0))
      queues.clear()
      for (const [name, queue] of order) queues.set(name, queue)
      least = order[0] ? (got.get(order[0][1]) ?? 0) : 0
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

/** What waits, by who sent it. */
export type TurnsOfSenders<Arrival> = {
  push: (sender: string, arrival: Arrival) => void
  /**
   * Takes arrivals that together weigh no more than `most`, and of each sender about as much as of every other. The first arrival
   * always fits. Who gets nothing, since nothing of theirs fits any more, is the first the next time.
   */
  take: (most: number) => Arrival[]
  takeAll: () => Arrival[]
  /** The weight of what waits, of one sender or of all. */
  weight: (sender?: string) => number
}

type Queue<Arrival> = { sender: string; arrivals: Arrival[]; weight: number; taken: number }

/** Rounds in which a batch is filled. In each, a sender may have an equal part of it more. */
const ROUNDS = 8

/** Keeps the arrivals of each sender in their order. A sender never waits until all arrivals of another sender are taken. */
export const createTurnsOfSenders = <Arrival extends { weight: number }>(): TurnsOfSenders<Arrival> => {
  /** Senders that have something waiting, in the order of their turns. */
  const queues = new Map<string, Queue<Arrival>>()
  let all = 0
  let passedOver: Queue<Arrival> | undefined

  /** Takes the next arrival of a sender, if it weighs no more than `most`. @returns its weight, else 0 */
  const takeNext = (queue: Queue<Arrival> | undefined, batch: Arrival[], most = Infinity): number => {
    const next = queue?.arrivals[0]
    if (!queue || !next || next.weight > most) return 0
    queue.arrivals.shift()
    queue.weight -= next.weight
    queue.taken += next.weight
    all -= next.weight
    batch.push(next)
    return next.weight
  }

  const fill = (most: number): Arrival[] => {
    const batch: Arrival[] = []
    let size = takeNext(passedOver, batch)
    for (let round = 1; round <= ROUNDS && size < most; round++) {
      const ofEach = (most * round) / ROUNDS
      for (const queue of queues.values()) {
        let weight: number
        do {
          weight = takeNext(queue, batch, Math.min(most - size, ofEach - queue.taken))
          size += weight
        } while (weight > 0)
      }
    }
    if (batch.length === 0) takeNext(queues.values().next().value, batch)
    return batch
  }

  /** Who was served goes to the end. */
  const rotate = (): void => {
    passedOver = undefined
    for (const queue of [...queues.values()]) {
      if (queue.taken === 0) {
        passedOver ??= queue
        continue
      }
      queue.taken = 0
      queues.delete(queue.sender)
      if (queue.arrivals.length > 0) queues.set(queue.sender, queue)
    }
  }

  return {
    push: (sender, arrival) => {
      const queue = queues.get(sender) ?? { sender, arrivals: [], weight: 0, taken: 0 }
      queue.arrivals.push(arrival)
      queue.weight += arrival.weight
      all += arrival.weight
      queues.set(sender, queue)
    },
    take: (most) => {
      const batch = fill(most)
      rotate()
      return batch
    },
    takeAll: () => {
      const arrivals = [...queues.values()].flatMap((queue) => queue.arrivals)
      queues.clear()
      passedOver = undefined
      all = 0
      return arrivals
    },
    weight: (sender) => (sender === undefined ? all : (queues.get(sender)?.weight ?? 0)),
  }
}

import { isCancelled } from '../storage/sql/database.js'
import { createSubmitterWeights } from './submitter-weights.js'
import { createTurnsOfSubmitters, type Submitter } from './turns-of-submitters.js'
import { UserError } from '../runtime/user-error.js'

/** The queue is full. The registry keeps the event and sends it again. */
export class Overloaded extends UserError {
  override readonly kind = 'unavailable'
}

type Part<Item> = { items: Item[]; weight: number }

type Waiting<Item, Answer> = Part<Item> & {
  resolve: (answers: Answer[]) => void
  reject: (error: unknown) => void
}

export type Batches<Item, Answer> = {
  /**
   * Queues items, and returns their answers in the same order after their batch was written.
   * @param submitter submitters take turns, and the items of one registry are written in their order
   * @throws Overloaded, or the error of `write`
   */
  submit: (items: Item[], submitter?: Submitter) => Promise<Answer[]>
  /** Resolves when all queued items are written. */
  idle: () => Promise<void>
}

type Settings<Item, Answer> = {
  /**
   * Writes a batch and returns an answer for each item; throws if nothing of the batch was written. An error in place of an answer
   * rejects the arrival of its item, and no other one.
   */
  write: (items: Item[]) => Promise<(Answer | Error)[]>
  /** The weight of an item: how much work it is, at least 1. By default each item has the weight 1. */
  weightOf?: (item: Item) => number
  /**
   * The largest weight of one batch. An arrival with a larger weight is written in parts; an item with a larger weight is a batch
   * by itself.
   */
  largestBatch: number
  /** The largest weight of the queue behind the current batch. One registry may use half of it, and one holder three quarters. */
  longestQueue: number
}

/**
 * Turns of the event loop between two batches. An embedded database blocks the thread while it writes, and a client that has just
 * got its answer sends its next request at once. In a few turns these requests are accepted, read and parsed, so that they join
 * the next batch and not the one after it. A turn without work takes some microseconds.
 */
const TURNS = 4

const afterTurns = (turns: number, then: () => void): void => {
  setImmediate(turns > 1 ? afterTurns : then, turns - 1, then)
}

/** The parts of the queue that one registry and one holder may use. A holder can invent registries, so that it needs its own limit. */
const OF_REGISTRY = 1 / 2
const OF_HOLDER = 3 / 4
const UNNAMED_SUBMITTER: Submitter = { holder: '', registry: '' }

/**
 * Gathers items that arrive while a batch is being written into the next batch. There are no timers: without load, an arrival is
 * written at once; under load, thousands of arrivals share one transaction. Submitters take turns, so that one with many events does
 * not delay the others.
 */
export const createBatches = <Item, Answer>(settings: Settings<Item, Answer>): Batches<Item, Answer> => {
  const { write, weightOf = () => 1, largestBatch, longestQueue } = settings
  const waiting = createTurnsOfSubmitters<Waiting<Item, Answer>>()
  const isAnswer = (answer: Answer | Error): answer is Answer => !(answer instanceof Error)
  /** The total weight of the parts of large arrivals that have not been queued yet. */
  const behind = createSubmitterWeights()
  let writing = false
  let idlers: (() => void)[] = []

  const writeNext = async (): Promise<void> => {
    const batch = waiting.take(largestBatch)
    try {
      const answers = await write(batch.flatMap(({ items }) => items))
      let from = 0
      for (const { items, resolve, reject } of batch) {
        const ofArrival = answers.slice(from, (from += items.length))
        if (ofArrival.every(isAnswer)) resolve(ofArrival)
        else reject(ofArrival.find((answer) => !isAnswer(answer)))
      }
    } catch (error) {
      // Queued items would fail in the same way, so they are rejected, too, unless this batch alone took too long.
      const failed = isCancelled(error) ? batch : [...batch, ...waiting.takeAll()]
      for (const { reject } of failed) reject(error)
    }
  }

  const pump = (): void => {
    if (writing) return
    if (waiting.weight() === 0) {
      for (const resolve of idlers) resolve()
      idlers = []
      return
    }
    writing = true
    void writeNext().finally(() => {
      afterTurns(TURNS, () => {
        writing = false
        pump()
      })
    })
  }

  const isFull = (submitter: Submitter, isLarge: boolean): boolean => {
    // Parts that are not queued yet count only against other large arrivals: a small arrival may overtake them.
    const before = (of: Partial<Submitter>): number => waiting.weight(of) + (isLarge ? behind.of(of) : 0)
    return (
      before(submitter) >= longestQueue * OF_REGISTRY ||
      before({ holder: submitter.holder }) >= longestQueue * OF_HOLDER ||
      waiting.weight() >= longestQueue
    )
  }

  const submit = async (items: Item[], submitter = UNNAMED_SUBMITTER): Promise<Answer[]> => {
    if (items.length === 0) return []
    const parts = partsOf(items)
    const isLarge = parts.length > 1
    if (isFull(submitter, isLarge)) throw new Overloaded('too many events are waiting to be stored; send it again')
    const [only] = parts
    return only && !isLarge ? enqueue(only, submitter) : enqueueInTurn(parts, submitter)
  }

  /** Queues one part after the other, so that arrivals of other submitters wait for one part and not for the whole large arrival. */
  const enqueueInTurn = async (parts: Part<Item>[], submitter: Submitter): Promise<Answer[]> => {
    const answers: Answer[][] = []
    let left = parts.reduce((sum, { weight }) => sum + weight, 0)
    behind.add(submitter, left)
    try {
      for (const part of parts) {
        behind.add(submitter, -part.weight)
        left -= part.weight
        answers.push(await enqueue(part, submitter))
      }
    } finally {
      behind.add(submitter, -left)
    }
    return answers.flat()
  }

  const partsOf = (items: Item[]): Part<Item>[] => {
    const parts: Part<Item>[] = []
    for (const item of items) {
      const weight = weightOf(item)
      const part = parts.at(-1)
      if (part && part.weight + weight <= largestBatch) {
        part.items.push(item)
        part.weight += weight
      } else {
        parts.push({ items: [item], weight })
      }
    }
    return parts
  }

  const enqueue = async ({ items, weight }: Part<Item>, submitter: Submitter): Promise<Answer[]> =>
    new Promise((resolve, reject) => {
      waiting.push(submitter, { items, weight, resolve, reject })
      pump()
    })

  return {
    submit,
    idle: async () =>
      new Promise((resolve) => {
        idlers.push(resolve)
        pump()
      }),
  }
}

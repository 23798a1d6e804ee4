import { isCancelled } from '../storage/sql/database.js'
import { createSubmitterWeights } from './submitter-weights.js'
import { createTurnsOfSenders, type Submitter } from './turns-of-senders.js'
import { UserError } from '../runtime/user-error.js'

/** More is waiting than may wait. The registry keeps the event and sends it again. */
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
   * The answers for these items, in their order, once their batch is written.
   * @param submitter takes turns with others; what is submitted for one registry is begun in its order
   * @throws Overloaded, or what writing threw.
   */
  submit: (items: Item[], submitter?: Submitter) => Promise<Answer[]>
  /** Resolves when nothing is under way. */
  idle: () => Promise<void>
}

type Settings<Item, Answer> = {
  /** Writes a batch and answers for each of its items; throws when nothing of it was written. */
  write: (items: Item[]) => Promise<Answer[]>
  /** How much work an item is, at least 1; 1 for each if it is missing. */
  weightOf?: (item: Item) => number
  /** The weight of one batch at most; an arrival may have more and is then written in parts. An item beyond it is a batch alone. */
  largestBatch: number
  /** The weight of what may wait behind the batch under way. One registry may have half of it, and one holder three quarters. */
  longestQueue: number
}

/**
 * Turns of the event loop between two batches. An embedded database keeps the thread while it writes, and who was just
 * answered sends again at once: in a few turns connections are accepted, read and parsed, and go into the next batch instead
 * of the one after it. A turn without work takes some microseconds.
 */
const TURNS = 4

const afterTurns = (turns: number, then: () => void): void => {
  setImmediate(turns > 1 ? afterTurns : then, turns - 1, then)
}

/** Parts of the queue. A holder can name any registry, but not use up what is left for others. */
const OF_REGISTRY = 1 / 2
const OF_HOLDER = 3 / 4
const NOBODY: Submitter = { holder: '', registry: '' }

/**
 * Joins what arrives while earlier batches are being written into the next one. No timers: alone, an arrival is written at
 * once; under load, thousands share one transaction. Submitters take turns: one with many events does not delay the others.
 */
export const createBatches = <Item, Answer>(settings: Settings<Item, Answer>): Batches<Item, Answer> => {
  const { write, weightOf = () => 1, largestBatch, longestQueue } = settings
  const waiting = createTurnsOfSenders<Waiting<Item, Answer>>()
  /** The weight of the parts of large arrivals that are not in the queue yet, by holder and by registry. */
  const behind = createSubmitterWeights()
  let writing = false
  let idlers: (() => void)[] = []

  const writeNext = async (): Promise<void> => {
    const batch = waiting.take(largestBatch)
    try {
      const answers = await write(batch.flatMap(({ items }) => items))
      let from = 0
      for (const { items, resolve } of batch) resolve(answers.slice(from, (from += items.length)))
    } catch (error) {
      // Whoever waits behind would only wait for the same failure, unless the work of this batch alone took too long.
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
    // Parts of large arrivals that are behind keep out only other large ones: a small arrival passes them.
    const before = (of: Partial<Submitter>): number => waiting.weight(of) + (isLarge ? behind.of(of) : 0)
    return (
      before(submitter) >= longestQueue * OF_REGISTRY ||
      before({ holder: submitter.holder }) >= longestQueue * OF_HOLDER ||
      waiting.weight() >= longestQueue
    )
  }

  const submit = async (items: Item[], submitter = NOBODY): Promise<Answer[]> => {
    if (items.length === 0) return []
    const parts = partsOf(items)
    const isLarge = parts.length > 1
    if (isFull(submitter, isLarge)) throw new Overloaded('too many events are waiting to be stored; send it again')
    const [only] = parts
    return only && !isLarge ? enqueue(only, submitter) : enqueueInTurn(parts, submitter)
  }

  /** One part after the other, so that what others send meanwhile waits for one part, and not for all of a large arrival. */
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

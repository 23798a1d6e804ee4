import { isCancelled } from '../storage/sql/database.js'
import { createTurnsOfSenders } from './turns-of-senders.js'
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
   * @param sender takes turns with others; what one sender submits is begun in its order
   * @throws Overloaded, or what writing threw.
   */
  submit: (items: Item[], sender?: string) => Promise<Answer[]>
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
  /** The weight of what may wait behind the batch under way. One sender may have half of it. */
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

/**
 * Joins what arrives while earlier batches are being written into the next one. No timers: alone, an arrival is written at
 * once; under load, thousands share one transaction. Senders take turns: a sender with many events does not delay the others.
 */
export const createBatches = <Item, Answer>(settings: Settings<Item, Answer>): Batches<Item, Answer> => {
  const { write, weightOf = () => 1, largestBatch, longestQueue } = settings
  const waiting = createTurnsOfSenders<Waiting<Item, Answer>>()
  /** The weight of the parts of large arrivals that are not in the queue yet, by sender. */
  const behind = new Map<string, number>()
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

  const submit = async (items: Item[], sender = ''): Promise<Answer[]> => {
    if (items.length === 0) return []
    const parts = partsOf(items)
    const isLarge = parts.length > 1
    // Parts of large arrivals that are behind keep out only other large ones: a small arrival passes them.
    const before = waiting.weight(sender) + (isLarge ? (behind.get(sender) ?? 0) : 0)
    if (before >= longestQueue / 2 || waiting.weight() >= longestQueue) {
      throw new Overloaded('too many events are waiting to be stored; send it again')
    }
    const [only] = parts
    return only && !isLarge ? enqueue(only, sender) : enqueueInTurn(parts, sender)
  }

  const addBehind = (sender: string, weight: number): void => {
    const sum = (behind.get(sender) ?? 0) + weight
    if (sum > 0) behind.set(sender, sum)
    else behind.delete(sender)
  }

  /** One part after the other, so that what others send meanwhile waits for one part, and not for all of a large arrival. */
  const enqueueInTurn = async (parts: Part<Item>[], sender: string): Promise<Answer[]> => {
    const answers: Answer[][] = []
    let left = parts.reduce((sum, { weight }) => sum + weight, 0)
    addBehind(sender, left)
    try {
      for (const part of parts) {
        addBehind(sender, -part.weight)
        left -= part.weight
        answers.push(await enqueue(part, sender))
      }
    } finally {
      addBehind(sender, -left)
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

  const enqueue = async ({ items, weight }: Part<Item>, sender: string): Promise<Answer[]> =>
    new Promise((resolve, reject) => {
      waiting.push(sender, { items, weight, resolve, reject })
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

/** More is waiting than may wait. The registry keeps the event and sends it again. */
export class Overloaded extends Error {}

type Part<Item> = { items: Item[]; weight: number }

type Waiting<Item, Answer> = Part<Item> & {
  resolve: (answers: Answer[]) => void
  reject: (error: unknown) => void
}

export type Batches<Item, Answer> = {
  /** The answers for these items, in their order, once their batch is written. @throws Overloaded, or what writing threw. */
  submit: (items: Item[]) => Promise<Answer[]>
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
  /** The weight of what may wait behind the batch under way. */
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
 * once; under load, thousands share one transaction.
 */
export const createBatches = <Item, Answer>(settings: Settings<Item, Answer>): Batches<Item, Answer> => {
  const { write, weightOf = () => 1, largestBatch, longestQueue } = settings
  let waiting: Waiting<Item, Answer>[] = []
  let queued = 0
  /** The weight of the parts of large arrivals that are not in the queue yet. */
  let behind = 0
  let writing = false
  let idlers: (() => void)[] = []

  const next = (): Waiting<Item, Answer>[] => {
    let size = 0
    const end = waiting.findIndex(({ weight }, i) => {
      size += weight
      return i > 0 && size > largestBatch
    })
    const batch = waiting.splice(0, end === -1 ? waiting.length : end)
    queued -= batch.reduce((sum, { weight }) => sum + weight, 0)
    return batch
  }

  const writeNext = async (): Promise<void> => {
    const batch = next()
    try {
      const answers = await write(batch.flatMap(({ items }) => items))
      let from = 0
      for (const { items, resolve } of batch) resolve(answers.slice(from, (from += items.length)))
    } catch (error) {
      // Whoever waits behind would only wait for the same failure.
      const others = waiting
      waiting = []
      queued = 0
      for (const { reject } of [...batch, ...others]) reject(error)
    }
  }

  const pump = (): void => {
    if (writing) return
    if (waiting.length === 0) {
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

  const submit = async (items: Item[]): Promise<Answer[]> => {
    if (items.length === 0) return []
    const parts = partsOf(items)
    // Parts of large arrivals that are behind keep out only other large ones: a small arrival passes them.
    const before = parts.length === 1 ? queued : queued + behind
    if (before >= longestQueue) throw new Overloaded('too many events are waiting to be stored')
    const [only] = parts
    return only && parts.length === 1 ? enqueue(only) : enqueueInTurn(parts)
  }

  /** One part after the other, so that what others send meanwhile waits for one part, and not for all of a large arrival. */
  const enqueueInTurn = async (parts: Part<Item>[]): Promise<Answer[]> => {
    const answers: Answer[][] = []
    let left = parts.reduce((sum, { weight }) => sum + weight, 0)
    behind += left
    try {
      for (const part of parts) {
        behind -= part.weight
        left -= part.weight
        answers.push(await enqueue(part))
      }
    } finally {
      behind -= left
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

  const enqueue = async ({ items, weight }: Part<Item>): Promise<Answer[]> =>
    new Promise((resolve, reject) => {
      waiting.push({ items, weight, resolve, reject })
      queued += weight
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

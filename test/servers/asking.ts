import { ask, type InventoryAnswer, type Item } from '../../src/inventory/questions/ask.js'
import type { Question } from '../../src/inventory/questions/question.js'
import { QUESTIONS } from '../../src/inventory/questions/questions.js'
import { summarize } from '../../src/inventory/summary/summarize.js'
import { createCounting } from './counting.js'
import { anEvent } from './events.js'
import { digestOf } from './history.js'
import type { TestStores } from './stores.js'

export type Wanted = NonNullable<Parameters<typeof anEvent>[0]>

/** A push of a blob of 10 bytes. */
export const blob = (name: string, more: Wanted = {}): Wanted => ({
  object: 'blob',
  digest: digestOf(name),
  size: 10,
  ...more,
})

/** The name that `digestOf` made a digest of. */
export const short = (digest: unknown): string => String(digest).replace(/^sha256:0*/, '')

export const questionNamed = (name: string): Question => {
  const question = QUESTIONS.find((one) => one.name === name)
  if (!question) throw new Error(`there is no question ${name}`)
  return question
}

export type Asking = {
  /** Each in an envelope of its own, one after the other. */
  ingest: (...wanted: Wanted[]) => Promise<void>
  /** In envelopes of 25 events, by a process of its own that remembers nothing. */
  ingestMany: (...wanted: Wanted[]) => Promise<void>
  summary: () => Promise<void>
  answer: (question: string, parameters?: object) => Promise<InventoryAnswer>
  items: (question: string, parameters?: object) => Promise<Item[]>
  /** The short names of the digests of a page, sorted. */
  digests: (question: string, parameters?: object) => Promise<string[]>
}

/**
 * Events in, and questions about the inventory that they make, all at one time.
 * @param caches names of registries that are pull-through caches
 */
export const createAsking = (stores: TestStores, now: Date, caches: readonly string[] = []): Asking => {
  let id = 0
  const { ingest } = createCounting(stores, () => now)
  const answer = async (name: string, parameters: object = {}): Promise<InventoryAnswer> => {
    return ask(stores.database.sql, questionNamed(name), parameters, now, caches)
  }
  const items = async (name: string, parameters: object = {}): Promise<Item[]> => (await answer(name, parameters)).items
  return {
    ingest: async (...wanted) => {
      for (const one of wanted) await ingest([anEvent({ id: ++id, ...one })])
    },
    ingestMany: async (...wanted) => {
      const { ingest: send } = createCounting(stores, () => now)
      for (let from = 0; from < wanted.length; from += 25) {
        await send(wanted.slice(from, from + 25).map((one) => anEvent({ id: ++id, ...one })))
      }
    },
    summary: async () => {
      await summarize(stores.database, () => now)
    },
    answer,
    items,
    digests: async (name, parameters) => (await items(name, parameters)).map(({ digest }) => short(digest)).sort(),
  }
}

import { afterAll, beforeAll, beforeEach } from '@jest/globals'
import { ask, type InventoryAnswer, type Item } from '../../src/inventory/questions/ask.js'
import type { Question } from '../../src/inventory/questions/question.js'
import { QUESTIONS } from '../../src/inventory/questions/questions.js'
import { summarize } from '../../src/inventory/summary/summarize.js'
import { createCounting } from './counting.js'
import { anEvent } from './events.js'
import { digestOf } from './history.js'
import { OCI_CONFIG, OCI_IMAGE } from './manifests.js'
import type { TestStores } from './stores.js'

export type Wanted = NonNullable<Parameters<typeof anEvent>[0]>

/** A push of a blob of 10 bytes. */
export const blob = (name: string, more: Wanted = {}): Wanted => ({
  object: 'blob',
  digest: digestOf(name),
  size: 10,
  ...more,
})

/** A layer as distribution's notifications report it. */
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'

/** A push of an image with one configuration and one layer: of image `a1`, the blobs `ca1` and `ba1`. */
export const imageWithLayer = (name: string, more: Wanted = {}): Wanted => ({
  ...{ object: 'manifest', digest: digestOf(name), mediaType: OCI_IMAGE, size: 500 },
  references: [
    { digest: digestOf(`c${name}`), mediaType: OCI_CONFIG, size: 10 },
    { digest: digestOf(`b${name}`), mediaType: OCI_LAYER, size: 10 },
  ],
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

type AskingSuite = {
  stores: TestStores
  asking: Asking
  /** Empties the stores within a test. */
  startAnew: () => Promise<void>
}

/**
 * Stores and an `Asking` for the tests of a suite: opened before the first one, empty before each, closed after the last one. Both
 * objects stay the same, so a suite may take them apart at once.
 */
export const useAsking = (open: () => Promise<TestStores>, now: Date): AskingSuite => {
  let stores: TestStores
  let asking: Asking
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  const startAnew = async (): Promise<void> => {
    await stores.clear()
    asking = createAsking(stores, now)
  }
  beforeEach(startAnew)
  const current = <T extends object>(read: () => T): T =>
    new Proxy({} as T, { get: (_, name) => Reflect.get(read(), name) as unknown })
  return { stores: current(() => stores), asking: current(() => asking), startAnew }
}

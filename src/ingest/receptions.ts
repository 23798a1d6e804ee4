import { microsOf } from '../events/calendar.js'
import type { RegistryEvent } from '../events/registry-event.js'
import type { Database } from '../storage/sql/database.js'
import { addEvent, addNews, noNews, type Heard, type News } from './heard-news.js'
import { writeReceptions } from './receptions-table.js'

/** Tallies of requests that were refused are named with this prefix and the HTTP status. */
export const REFUSED_PREFIX = 'refused:'

/**
 * Keeps in mind what was heard of each registry and which requests were refused, and writes it down now and then: it is for
 * people who look after the service, so losing the last seconds in a crash does no harm.
 */
export type Receptions = {
  heard: (events: readonly RegistryEvent[]) => void
  refused: (status: number) => void
  /** Writes down what is new. */
  flush: () => Promise<void>
}

/** Names of registries come from clients; beyond this many between two writes, the rest share one line. */
const REGISTRIES_AT_ONCE = 1_000
const OTHERS = 'other'

export const createReceptions = (database: Database, now: () => Date): Receptions => {
  let heard: Heard = new Map()
  let refused = new Map<string, number>()

  const newsOf = (registry: string): News => {
    const name = heard.has(registry) || heard.size < REGISTRIES_AT_ONCE ? registry : OTHERS
    const news = heard.get(name) ?? noNews()
    heard.set(name, news)
    return news
  }
  const addRefused = (name: string, times: number): void => {
    refused.set(name, (refused.get(name) ?? 0) + times)
  }

  return {
    heard: (events) => {
      const receivedAt = microsOf(now())
      for (const { registry, at, action } of events) addEvent(newsOf(registry), { at, action, receivedAt })
    },
    refused: (status) => {
      addRefused(`${REFUSED_PREFIX}${status}`, 1)
    },
    flush: async () => {
      if (heard.size === 0 && refused.size === 0) return
      const [writing, counted] = [heard, refused]
      heard = new Map()
      refused = new Map()
      try {
        await writeReceptions(database, { heard: writing, refused: counted, now: microsOf(now()) })
      } catch (error) {
        for (const [registry, news] of writing) addNews(newsOf(registry), news)
        for (const [name, times] of counted) addRefused(name, times)
        throw error
      }
    },
  }
}

import { microsOf } from '../events/calendar.js'
import type { RegistryEvent } from '../events/registry-event.js'
import type { Database } from '../storage/sql/database.js'
import { addEvent, addNews, noNews, type Heard, type News } from './heard-news.js'
import { writeReceptions } from './receptions-table.js'

/** The prefix in the names of tallies of refused requests. The HTTP status follows. */
export const REFUSED_PREFIX = 'refused:'

/**
 * Collects in memory which registries sent events and which requests were refused, and stores this from time to time. Only
 * operators read this data, so the last seconds before a crash may be lost.
 */
export type Receptions = {
  heard: (events: readonly RegistryEvent[]) => void
  refused: (status: number) => void
  /** Stores what is new since the last write. */
  flush: () => Promise<void>
}

/** The largest number of registries between two writes. All further names share one entry, because clients choose the names. */
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

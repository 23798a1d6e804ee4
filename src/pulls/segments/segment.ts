import type { Micros } from '../../events/calendar.js'
import { NONE } from '../fold/columns.js'
import { createRows, type Rows } from './rows.js'

/** Who sent the requests of a segment: all that pulls need, and no address. */
export type SegmentRequester = {
  origin: string
  /** Only for a time after a change of the salt: the origin with the previous salt. */
  previous?: string
  /** A `Who` as text. */
  who: string
  /** Whether the client is known to fetch each manifest twice. */
  fetchesTwice?: boolean
}

/** What was requested, and with which status it was answered. Many rows have the same. */
export type SegmentWhat<Name> = {
  repository: Name
  /** A position in OBJECTS of `fold/columns.ts`. */
  object: number
  /** IS_HEAD and MAY_REPEAT of `fold/columns.ts`. */
  flags: number
  status: number
  tag: Name
  digest: Name
  mediaType: Name
}

/** Requests of one registry and one UTC day in columns, as they were read from one file. */
export type Segment = Rows & {
  /** Repositories, tags, digests and media types. */
  names: string[]
  requesters: SegmentRequester[]
  /** With numbers of `names`, or NONE. */
  whats: SegmentWhat<number>[]
}

export type SegmentBuilder = {
  /** @returns the number of a requester */
  requester: (one: SegmentRequester) => number
  /** @returns the number of a what */
  what: (one: SegmentWhat<string | undefined>) => number
  /** @param bytes of the answer, or NONE */
  add: (row: { at: Micros; what: number; requester: number; bytes: number; idHigh: number; idLow: number }) => void
  length: () => number
  /** About how many bytes of memory the segment takes. */
  weight: () => number
  /** The segment as it is now. */
  segment: () => Segment
}

/** What a text takes in memory beside its characters. */
const WEIGHT_OF_TEXT = 60

export const createSegmentBuilder = (): SegmentBuilder => {
  let weight = 0
  const numbering = <T>(items: T[]): ((key: string, item: T) => number) => {
    const known = new Map<string, number>()
    return (key, item) => {
      const number = known.get(key)
      if (number !== undefined) return number
      known.set(key, items.length)
      items.push(item)
      weight += key.length + WEIGHT_OF_TEXT
      return items.length - 1
    }
  }
  const [names, requesters, whats]: [string[], SegmentRequester[], SegmentWhat<number>[]] = [[], [], []]
  const [numberOf, requesterOf, whatOf] = [numbering(names), numbering(requesters), numbering(whats)]
  const nameOf = (text: string | undefined): number => (text === undefined ? NONE : numberOf(text, text))
  const rows = createRows()
  return {
    requester: (one) => requesterOf(`${one.origin} ${one.previous ?? ''} ${one.who}`, one),
    what: ({ repository, object, flags, status, tag, digest, mediaType }) => {
      const what = {
        ...{ object, flags, status },
        repository: nameOf(repository),
        tag: nameOf(tag),
        digest: nameOf(digest),
        mediaType: nameOf(mediaType),
      }
      return whatOf(Object.values(what).join(), what)
    },
    add: rows.add,
    length: rows.length,
    weight: () => weight + rows.weight(),
    segment: () => ({ ...rows.rows(), names, requesters, whats }),
  }
}

import { isReferrerTag } from '../../events/reference.js'
import { FETCHES_TWICE, NONE, type RequestColumns } from '../fold/columns.js'
import type { OpenSegment } from '../segments/segment-bytes.js'
import { createColumnRoom } from './column-room.js'
import { createNumbering, createPairNumbering, type Numbering, type PairNumbering } from './numbering.js'
import type { Partitions } from './partitions.js'

/** The requests of a part of a day in columns, and the texts of their numbers. */
export type DayColumns = {
  columns: RequestColumns
  /** Tags and digests by number. A digest or tag of an earlier day may be added. */
  names: Numbering
  repositories: Numbering
  origins: Numbering
  /** The numbers of chains: of a repository and an origin. */
  chains: PairNumbering
  /** Requesters: each is a `Who` as text. */
  whos: Numbering
  /** The requester of a row. */
  whoOf: (row: number) => number
  isReferrerTag: (tag: number) => boolean
}

/** Joins the segments of a day: equal texts of different segments get one number. */
export type DayColumnsBuilder = {
  add: (segment: OpenSegment) => void
  columns: () => DayColumns
}

/** @param part the part whose requests are kept @param expected about how many they are */
export const createDayColumns = (partitions: Partitions, part: number, expected: number): DayColumnsBuilder => {
  const [names, repositories, origins] = [createNumbering(), createNumbering(), createNumbering()]
  const [mediaTypes, whos, chains] = [createNumbering(), createNumbering(), createPairNumbering()]
  const { columns: addedColumns, add: addRow } = createColumnRoom(expected)

  /** Numbers lie side by side: whats are read in any order, and objects would be all over the memory. */
  const readWhats = ({ names: texts, whats }: OpenSegment): ((number: number) => number) => {
    const named = (name: number, { numberOf }: Numbering): number =>
      name === NONE ? NONE : numberOf(texts[name] ?? '')
    const table = new Int32Array(WHAT_FIELDS * whats.length).fill(UNREAD)
    whatTable = table
    return (number) => {
      const first = WHAT_FIELDS * number
      if (table[first] !== UNREAD) return first
      const { repository, object, flags, status, tag, digest, mediaType } = whats[number] ?? NO_WHAT
      table[first] = repositories.numberOf(texts[repository] ?? '')
      table[first + 1] = named(tag, names)
      table[first + 2] = named(digest, names)
      table[first + 3] = named(mediaType, mediaTypes)
      table[first + 4] = object
      table[first + 5] = flags
      table[first + 6] = status
      return first
    }
  }
  const readRequesters = ({ requesters }: OpenSegment): ((number: number) => number) => {
    const table = new Int32Array(REQUESTER_FIELDS * requesters.length).fill(UNREAD)
    requesterTable = table
    return (number) => {
      const first = REQUESTER_FIELDS * number
      if (table[first] !== UNREAD) return first
      const one = requesters[number]
      table[first] = origins.numberOf(one?.origin ?? '')
      table[first + 1] = one?.previous === undefined ? NONE : origins.numberOf(one.previous)
      table[first + 2] = one?.fetchesTwice === true ? FETCHES_TWICE : 0
      table[first + 3] = whos.numberOf(one?.who ?? '')
      return first
    }
  }
  let [whatTable, requesterTable] = [new Int32Array(), new Int32Array()]

  return {
    add: (segment) => {
      const [readWhat, readRequester] = [readWhats(segment), readRequesters(segment)]
      const isIn = partCheck(segment, partitions, part)
      for (let left = segment.length; left > 0; left--) {
        const row = segment.next()
        if (isIn && !isIn(row.what, row.requester)) continue
        const [what, requester] = [readWhat(row.what), readRequester(row.requester)]
        const repository = whatTable[what] ?? 0
        const previous = requesterTable[requester + 1] ?? NONE
        addRow(row, {
          chain: chains.numberOf(repository, requesterTable[requester] ?? 0),
          previous: previous === NONE ? NONE : chains.numberOf(repository, previous),
          tag: whatTable[what + 1] ?? NONE,
          digest: whatTable[what + 2] ?? NONE,
          mediaType: whatTable[what + 3] ?? NONE,
          object: whatTable[what + 4] ?? 0,
          flags: (whatTable[what + 5] ?? 0) | (requesterTable[requester + 2] ?? 0),
          status: whatTable[what + 6] ?? 0,
          who: requesterTable[requester + 3] ?? 0,
        })
      }
    },
    columns: () => {
      const { who, ...columns } = addedColumns()
      const referrers = new Map<number, boolean>()
      return {
        ...{ names, repositories, origins, chains, whos },
        columns: { ...columns, mediaTypes: mediaTypes.texts },
        whoOf: (row) => who[row] ?? 0,
        isReferrerTag: (tag) => {
          let isReferrer = referrers.get(tag)
          if (isReferrer === undefined) referrers.set(tag, (isReferrer = isReferrerTag(names.textOf(tag))))
          return isReferrer
        },
      }
    },
  }
}

/** Fields of a what: its repository, tag, digest, media type, object, flags and status. */
const WHAT_FIELDS = 8
/** Fields of a requester: its origin, previous origin, whether it fetches twice, and its `Who`. */
const REQUESTER_FIELDS = 4
/** The first field of what was not read yet. */
const UNREAD = -2

const NO_WHAT = { repository: NONE, object: 0, flags: 0, status: 0, tag: NONE, digest: NONE, mediaType: NONE }

/** Whether a row of a segment is in a part; undefined if all rows are. */
const partCheck = (
  { names, whats, requesters }: OpenSegment,
  { count, hashOfRepository, hashOfOrigin, partOf }: Partitions,
  part: number,
): ((what: number, requester: number) => boolean) | undefined => {
  if (count === 1) return undefined
  const hashes: number[] = []
  const repositories = Int32Array.from(
    whats,
    ({ repository }) => (hashes[repository] ??= hashOfRepository(names[repository] ?? '')),
  )
  const origins = Int32Array.from(requesters, ({ origin }) => hashOfOrigin(origin))
  return (what, requester) => partOf(repositories[what] ?? 0, origins[requester] ?? 0) === part
}

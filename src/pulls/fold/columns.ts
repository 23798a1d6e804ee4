import { RANK_OF_OTHERS, rankOfManifest } from './order.js'
import type { ChainRequest } from './state.js'

/** The number of a missing name. */
export const NONE = -1

/** The kinds of objects, in the order of their numbers. */
export const OBJECTS = ['manifest', 'blob', 'tags', 'referrers'] as const satisfies ChainRequest['object'][]
const MANIFEST = 0

/** Bits of `flags`. */
export const IS_HEAD = 1
export const FETCHES_TWICE = 2
/** The source may report this request twice; it then reports the same id. */
export const MAY_REPEAT = 4

/**
 * Requests of one registry. Each request is a row, and each of its fields is a number in a column: reading numbers that lie side by
 * side takes a small part of the time of reading objects and texts. Tags, digests and ids of HTTP requests are numbers of one list of
 * names.
 */
export type RequestColumns = {
  length: number
  at: Float64Array
  /** The number of the origin in the repository. */
  chain: Int32Array
  /** The chain under the previous name of the origin, or NONE. */
  previous: Int32Array
  /** A position in OBJECTS. */
  object: Uint8Array
  flags: Uint8Array
  status: Uint16Array
  tag: Int32Array
  digest: Int32Array
  /** Missing if no two requests are parts of one HTTP request. */
  requestId?: Int32Array
  /** A position in `mediaTypes`, or NONE. */
  mediaType: Int32Array
  mediaTypes: readonly string[]
  /** Bytes of the answer, or NONE. */
  bytes: Float64Array
  /** Two numbers for each row. Rows of one chain with equal times and ids are equal in all columns. */
  ids: Uint32Array
}

/** Compares two rows like `inOrder`. */
export const compareRows = (columns: RequestColumns, a: number, b: number): number =>
  columns.at[a]! - columns.at[b]! || rankOf(columns, a) - rankOf(columns, b) || compareIds(columns.ids, a, b)

/** Whether two rows have the same time and the same id. */
export const isSameRow = ({ at: times, ids }: RequestColumns, a: number, b: number): boolean =>
  times[a] === times[b] && compareIds(ids, a, b) === 0

const rankOf = ({ object, flags, tag }: RequestColumns, row: number): number =>
  object[row] === MANIFEST ? rankOfManifest(tag[row] !== NONE, (flags[row]! & IS_HEAD) > 0) : RANK_OF_OTHERS

const compareIds = (ids: Uint32Array, a: number, b: number): number =>
  ids[2 * a]! - ids[2 * b]! || ids[2 * a + 1]! - ids[2 * b + 1]!

/** The id of a row as 16 hex digits, which have the order of the ids. */
export const idOf = ({ ids }: Pick<RequestColumns, 'ids'>, row: number): string =>
  ids[2 * row]!.toString(16).padStart(8, '0') + ids[2 * row + 1]!.toString(16).padStart(8, '0')

/** A request that the fold reads, and that the next row overwrites. */
export const createCursor = (): {
  request: ChainRequest<number>
  moveTo: (columns: RequestColumns, row: number) => void
} => {
  const request: Mutable<ChainRequest<number>> = {
    id: 0,
    at: 0,
    object: 'manifest',
    method: 'GET',
    status: 0,
    tag: undefined,
    digest: undefined,
    requestId: undefined,
    mediaType: undefined,
    bytes: undefined,
    fetchesTwice: false,
  }
  return {
    request: request as ChainRequest<number>,
    moveTo: (columns, row) => {
      const flags = columns.flags[row]!
      request.id = row
      request.at = columns.at[row]!
      request.object = OBJECTS[columns.object[row]!] ?? 'blob'
      request.method = (flags & IS_HEAD) > 0 ? 'HEAD' : 'GET'
      request.status = columns.status[row]!
      request.tag = nameAt(columns.tag, row)
      request.digest = nameAt(columns.digest, row)
      request.requestId = columns.requestId && nameAt(columns.requestId, row)
      request.mediaType = columns.mediaTypes[columns.mediaType[row]!]
      request.bytes = nameAt(columns.bytes, row)
      request.fetchesTwice = (flags & FETCHES_TWICE) > 0
    },
  }
}

type Mutable<T> = { -readonly [K in keyof T]-?: T[K] | undefined } & Pick<T, never>

const nameAt = (column: Int32Array | Float64Array, row: number): number | undefined => {
  const name = column[row]!
  return name === NONE ? undefined : name
}

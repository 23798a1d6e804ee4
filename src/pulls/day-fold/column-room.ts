import type { RequestColumns } from '../fold/columns.js'
import { copyColumns, firstRows } from '../segments/column-set.js'
import type { SegmentRow } from '../segments/segment-bytes.js'

/** Columns of requests, with the number of the requester of each. */
type Columns = Omit<RequestColumns, 'mediaTypes' | 'requestId'> & { who: Int32Array }

type Numbers = Record<Exclude<keyof Columns, 'length' | 'at' | 'bytes' | 'ids'>, number>

/** Columns that grow with each row. */
type ColumnRoom = {
  add: (row: SegmentRow, numbers: Numbers) => void
  /** Views of the columns. */
  columns: () => Columns
}

/** @param expected about how many rows will be added */
export const createColumnRoom = (expected: number): ColumnRoom => {
  let length = 0
  let room = Math.max(1, expected)
  let columns = columnsOf(room)
  const grow = (): void => {
    const larger = Math.ceil(1.5 * room)
    columns = copyColumns(columns, columnsOf(larger))
    room = larger
  }
  return {
    add: (row, { chain, previous, object, flags, status, tag, digest, mediaType, who }) => {
      if (length === room) grow()
      columns.at[length] = row.at
      columns.chain[length] = chain
      columns.previous[length] = previous
      columns.object[length] = object
      columns.flags[length] = flags
      columns.status[length] = status
      columns.tag[length] = tag
      columns.digest[length] = digest
      columns.mediaType[length] = mediaType
      columns.bytes[length] = row.bytes
      columns.ids[2 * length] = row.idHigh
      columns.ids[2 * length + 1] = row.idLow
      columns.who[length] = who
      length++
    },
    columns: () => ({ length, ...firstRows(columns, length, room) }),
  }
}

const columnsOf = (length: number): Omit<Columns, 'length'> => ({
  at: new Float64Array(length),
  chain: new Int32Array(length),
  previous: new Int32Array(length),
  object: new Uint8Array(length),
  flags: new Uint8Array(length),
  status: new Uint16Array(length),
  tag: new Int32Array(length),
  digest: new Int32Array(length),
  mediaType: new Int32Array(length),
  bytes: new Float64Array(length),
  ids: new Uint32Array(2 * length),
  who: new Int32Array(length),
})

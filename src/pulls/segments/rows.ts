import type { Micros } from '../../events/calendar.js'
import { copyColumns, firstRows } from './column-set.js'

/** Requests as columns of numbers. */
export type Rows = {
  length: number
  at: Float64Array
  what: Int32Array
  requester: Int32Array
  /** Bytes of the answers. */
  bytes: Float64Array
  /** Two numbers for each row. */
  ids: Uint32Array
}

type Row = { at: Micros; what: number; requester: number; bytes: number; idHigh: number; idLow: number }

type RowsBuilder = {
  add: (row: Row) => void
  length: () => number
  /** How many bytes of memory the columns take. */
  weight: () => number
  /** Views of the columns. */
  rows: () => Rows
}

const FIRST_ROOM = 1_024
const BYTES_OF_ROW = 32

export const createRows = (): RowsBuilder => {
  let room = FIRST_ROOM
  let length = 0
  let columns = columnsOf(room)
  const grow = (): void => {
    columns = copyColumns(columns, columnsOf(2 * room))
    room *= 2
  }
  return {
    add: ({ at, what, requester, bytes, idHigh, idLow }) => {
      if (length === room) grow()
      columns.at[length] = at
      columns.what[length] = what
      columns.requester[length] = requester
      columns.bytes[length] = bytes
      columns.ids[2 * length] = idHigh
      columns.ids[2 * length + 1] = idLow
      length++
    },
    length: () => length,
    weight: () => room * BYTES_OF_ROW,
    rows: () => ({ length, ...firstRows(columns, length, room) }),
  }
}

const columnsOf = (room: number): Omit<Rows, 'length'> => ({
  at: new Float64Array(room),
  what: new Int32Array(room),
  requester: new Int32Array(room),
  bytes: new Float64Array(room),
  ids: new Uint32Array(2 * room),
})

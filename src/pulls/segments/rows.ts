import type { Micros } from '../../events/calendar.js'

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
    const larger = columnsOf(2 * room)
    larger.at.set(columns.at)
    larger.what.set(columns.what)
    larger.requester.set(columns.requester)
    larger.bytes.set(columns.bytes)
    larger.ids.set(columns.ids)
    columns = larger
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
    rows: () => ({
      length,
      at: columns.at.subarray(0, length),
      what: columns.what.subarray(0, length),
      requester: columns.requester.subarray(0, length),
      bytes: columns.bytes.subarray(0, length),
      ids: columns.ids.subarray(0, 2 * length),
    }),
  }
}

const columnsOf = (room: number): Omit<Rows, 'length'> => ({
  at: new Float64Array(room),
  what: new Int32Array(room),
  requester: new Int32Array(room),
  bytes: new Float64Array(room),
  ids: new Uint32Array(2 * room),
})

import type { RequestColumns } from '../fold/columns.js'
import type { SegmentRow } from '../segments/segment-bytes.js'

/** Columns of requests, with the number of the requester of each. */
type Columns = Omit<RequestColumns, 'mediaTypes' | 'requestId'> & { who: Int32Array }

type Numbers = Record<Exclude<keyof Columns, 'length' | 'at' | 'bytes' | 'ids'>, number>

/** Columns that grow with each row. */
type ColumnRoom = {
  add: (row: SegmentRow, numbers: Numbers) => void
  /** Views of the columns. */
  room: () => Columns
}

/** @param expected about how many rows will be added */
export const createColumnRoom = (expected: number): ColumnRoom => {
  let length = 0
  let room = columnsOf(Math.max(1, expected))
  return {
    add: (row, { chain, previous, object, flags, status, tag, digest, mediaType, who }) => {
      if (length === room.length) room = grown(room)
      room.at[length] = row.at
      room.chain[length] = chain
      room.previous[length] = previous
      room.object[length] = object
      room.flags[length] = flags
      room.status[length] = status
      room.tag[length] = tag
      room.digest[length] = digest
      room.mediaType[length] = mediaType
      room.bytes[length] = row.bytes
      room.ids[2 * length] = row.idHigh
      room.ids[2 * length + 1] = row.idLow
      room.who[length] = who
      length++
    },
    room: () => ({
      length,
      at: room.at.subarray(0, length),
      chain: room.chain.subarray(0, length),
      previous: room.previous.subarray(0, length),
      object: room.object.subarray(0, length),
      flags: room.flags.subarray(0, length),
      status: room.status.subarray(0, length),
      tag: room.tag.subarray(0, length),
      digest: room.digest.subarray(0, length),
      mediaType: room.mediaType.subarray(0, length),
      bytes: room.bytes.subarray(0, length),
      ids: room.ids.subarray(0, 2 * length),
      who: room.who.subarray(0, length),
    }),
  }
}

const columnsOf = (length: number): Columns => ({
  length,
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

/** The columns with half as much room again. */
const grown = (columns: Columns): Columns => {
  const larger = columnsOf(Math.ceil(1.5 * columns.length))
  larger.at.set(columns.at)
  larger.chain.set(columns.chain)
  larger.previous.set(columns.previous)
  larger.object.set(columns.object)
  larger.flags.set(columns.flags)
  larger.status.set(columns.status)
  larger.tag.set(columns.tag)
  larger.digest.set(columns.digest)
  larger.mediaType.set(columns.mediaType)
  larger.bytes.set(columns.bytes)
  larger.ids.set(columns.ids)
  larger.who.set(columns.who)
  return larger
}

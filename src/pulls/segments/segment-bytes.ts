import { promisify } from 'node:util'
import { deflateRaw, inflateRaw } from 'node:zlib'
import { NONE } from '../fold/columns.js'
import type { Segment, SegmentBuilder } from './segment.js'
import { createVarintReader, createVarintWriter, unzigzag, zigzag } from './varints.js'

/** The first byte. A reader of a later version reads the versions before it, too. */
const VERSION = 1
const PARTS = 6

/** A decompressed segment is no larger. A segment that is written never is. */
const MOST_BYTES = 512 * 1024 * 1024

/** Compresses a segment for storage: about 15 bytes for each request. */
export const bytesOf = async ({ names, requesters, whats, ...rows }: Segment): Promise<Buffer> => {
  const parts = [
    Buffer.from(JSON.stringify([names, requesters, whats])),
    differences(rows.at),
    plain(rows.what),
    plain(rows.requester),
    // NONE is negative.
    plain(rows.bytes, -NONE),
    // Other machines may store the bytes of a number in another order; no such machine runs Node.js.
    new Uint8Array(rows.ids.buffer, rows.ids.byteOffset, rows.ids.byteLength),
  ]
  const header = createVarintWriter()
  header.add(rows.length)
  for (const part of parts) header.add(part.byteLength)
  const compressed = await promisify(deflateRaw)(Buffer.concat([header.bytes(), ...parts]), { level: 1 })
  return Buffer.concat([Buffer.of(VERSION), compressed])
}

/** What the rows of a segment refer to. */
export type SegmentTexts = Pick<Segment, 'names' | 'requesters' | 'whats'>

/** A row of a segment, as `SegmentBuilder` got it. */
export type SegmentRow = Parameters<SegmentBuilder['add']>[0]

/** A stored segment of which only the texts are read. */
export type OpenSegment = SegmentTexts & {
  length: number
  /** Reads the next row, which replaces the previous one. @throws RangeError after the last row */
  next: () => SegmentRow
  /** Reads all rows. */
  read: () => Segment
}

/** Reads what `bytesOf` wrote. @throws if the bytes are of a later version, or damaged */
export const segmentIn = async (stored: Uint8Array): Promise<Segment> => (await openSegment(stored)).read()

/** Reads the texts of what `bytesOf` wrote: often they show that no row is of interest. @throws as `segmentIn` */
export const openSegment = async (stored: Uint8Array): Promise<OpenSegment> => {
  if (stored[0] !== VERSION) throw new RangeError(`a segment has version ${stored[0] ?? 'none'}, and not ${VERSION}`)
  const bytes = await promisify(inflateRaw)(stored.subarray(1), { maxOutputLength: MOST_BYTES })
  const readNumber = createVarintReader(bytes)
  const length = readNumber()
  const sizes = Array.from({ length: PARTS }, readNumber)
  let end = bytes.length
  const [texts = bytes, at = bytes, what = bytes, requester = bytes, sent = bytes, ids = bytes] = sizes
    .reverse()
    .map((size) => bytes.subarray(end - size, (end -= size) + size))
    .reverse()
  const [names, requesters, whats] = JSON.parse(texts.toString()) as [
    Segment['names'],
    Segment['requesters'],
    Segment['whats'],
  ]
  const read = (): Segment => {
    const ownIds = new Uint32Array(2 * length)
    Buffer.from(ownIds.buffer).set(ids)
    return {
      ...{ length, names, requesters, whats },
      at: sums(at, length),
      what: numbersIn(what, new Int32Array(length)),
      requester: numbersIn(requester, new Int32Array(length)),
      bytes: numbersIn(sent, new Float64Array(length), -NONE),
      ids: ownIds,
    }
  }
  const [nextAt, nextWhat, nextRequester, nextBytes] = [at, what, requester, sent].map(createVarintReader) as Four<
    () => number
  >
  const row: SegmentRow = { at: 0, what: 0, requester: 0, bytes: 0, idHigh: 0, idLow: 0 }
  let position = 0
  const next = (): SegmentRow => {
    row.at += unzigzag(nextAt())
    row.what = nextWhat()
    row.requester = nextRequester()
    row.bytes = nextBytes() + NONE
    row.idHigh = ids.readUInt32LE(position)
    row.idLow = ids.readUInt32LE(position + 4)
    position += 8
    return row
  }
  return { length, names, requesters, whats, read, next }
}

type Four<T> = [T, T, T, T]

const plain = (numbers: Int32Array | Float64Array, offset = 0): Uint8Array => {
  const { add, bytes } = createVarintWriter()
  for (const number of numbers) add(number + offset)
  return bytes()
}

const numbersIn = <Numbers extends Int32Array | Float64Array>(
  bytes: Uint8Array,
  numbers: Numbers,
  offset = 0,
): Numbers => {
  const next = createVarintReader(bytes)
  for (let row = 0; row < numbers.length; row++) numbers[row] = next() - offset
  return numbers
}

/** Lines are nearly in order, so the differences of their times are small. */
const differences = (times: Float64Array): Uint8Array => {
  const { add, bytes } = createVarintWriter()
  let before = 0
  for (const at of times) {
    add(zigzag(at - before))
    before = at
  }
  return bytes()
}

const sums = (bytes: Uint8Array, length: number): Float64Array => {
  const next = createVarintReader(bytes)
  const times = new Float64Array(length)
  let at = 0
  for (let row = 0; row < length; row++) times[row] = at += unzigzag(next())
  return times
}

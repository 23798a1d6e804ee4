import { MICROS_PER_DAY, utcDay, type Micros } from '../../events/calendar.js'
import { NONE } from '../fold/columns.js'
import { createSegmentBuilder, type SegmentBuilder, type SegmentRequester, type SegmentWhat } from './segment.js'
import type { DaySegment } from './segment-table.js'

/** A request in a file. The same objects may be in many requests; each gets its number once. */
type FileRequest = {
  at: Micros
  what: Numbered<SegmentWhat<string | undefined>>
  requester: Numbered<SegmentRequester>
  /** Bytes of the answer. */
  bytes: number | undefined
  /** The hash of the line. */
  idHigh: number
  idLow: number
}

/** A value, and the number that it has in a segment. */
export type Numbered<T> = { value: T; segment: SegmentKey | undefined; number: number }
/** Stands for a segment, which would stay in memory as long as the values that have a number in it. */
type SegmentKey = object

export const numbered = <T>(value: T): Numbered<T> => ({ value, segment: undefined, number: NONE })

/** Collects the requests of a file in one segment for each day. */
export type RequestSink = {
  add: (request: FileRequest) => void
  /** About how many bytes of memory the segments take. */
  weight: () => number
  /** The segments so far. The next request begins new ones. */
  take: () => DaySegment[]
}

/** @param seal makes ids of the hashes of lines; two numbers are one id */
export const createRequestSink = (registry: string, seal: (hashes: Uint32Array) => Uint32Array): RequestSink => {
  let builders = new Map<number, Keyed>()
  let [lastDay, last]: [number, Keyed | undefined] = [NaN, undefined]
  const builderAt = (at: Micros): Keyed => {
    const day = Math.floor(at / MICROS_PER_DAY)
    if (last && day === lastDay) return last
    let builder = builders.get(day)
    if (!builder) builders.set(day, (builder = { key: {}, ...createSegmentBuilder() }))
    ;[lastDay, last] = [day, builder]
    return builder
  }
  return {
    add: ({ at, what, requester, bytes, idHigh, idLow }) => {
      const builder = builderAt(at)
      builder.add({
        at,
        what: numberOf(what, builder, builder.what),
        requester: numberOf(requester, builder, builder.requester),
        bytes: bytes ?? NONE,
        idHigh,
        idLow,
      })
    },
    weight: () => {
      let weight = 0
      for (const builder of builders.values()) weight += builder.weight()
      return weight
    },
    take: () => {
      const segments = [...builders].map(([day, builder]) => {
        const segment = builder.segment()
        return { registry, day: utcDay(day * MICROS_PER_DAY), segment: { ...segment, ids: seal(segment.ids) } }
      })
      builders = new Map()
      last = undefined
      return segments
    },
  }
}

type Keyed = SegmentBuilder & { key: SegmentKey }

const numberOf = <T>(one: Numbered<T>, { key }: Keyed, read: (value: T) => number): number => {
  if (one.segment !== key) {
    one.segment = key
    one.number = read(one.value)
  }
  return one.number
}

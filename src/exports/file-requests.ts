import { MICROS_PER_SECOND, startOfDay, type Micros } from '../events/calendar.js'
import { idOf, IS_HEAD, MAY_REPEAT, NONE, OBJECTS } from '../pulls/fold/columns.js'
import { readSegment, type StoredSegment } from '../pulls/segments/segment-table.js'
import type { Segment } from '../pulls/segments/segment.js'
import type { Sql } from '../storage/sql/database.js'
import { compareColumns, inRowOrder, type Row, type Value } from './columns.js'
import { createRequesterValues } from './requester-columns.js'
import type { DaySource } from './slices.js'

/** The first columns of `requests`, which identify a request: its time, registry, repository, origin and id. */
const KEY_COLUMNS = 5
const ID = 4

/** The rows of decompressed segments that stay in memory, about 50 bytes each. */
const MOST_KEPT = 2_000_000

type FileRequestsDeps = {
  segments: readonly StoredSegment[]
  /** Replaces the hash of a line, from which the line could be guessed. */
  publicId: (id: string) => string
}

/** The requests of a day that were read from files, as rows of `requests`. Repeated lines count as the fold counts them. */
export const fileRequests = (tx: Sql, day: string, { segments, publicId }: FileRequestsDeps): DaySource => {
  const start = startOfDay(day) ?? 0
  const { read, drop } = createReader(tx)
  const spans = new Map<string, { first: Micros; last: Micros }>()
  return {
    count: async () => Promise.resolve(segments.reduce((sum, { requests }) => sum + requests, 0)),
    countSeconds: async (add) => {
      for (const { number } of segments) {
        const { at } = await read(number)
        let [first, last] = [Infinity, -Infinity]
        for (const one of at) {
          if (one < first) first = one
          if (one > last) last = one
          add(Math.floor((one - start) / MICROS_PER_SECOND), 1)
        }
        spans.set(number, { first, last })
      }
    },
    rowsBetween: async (from, to) => {
      const found: Found = { single: [], repeatable: [] }
      for (const { number, registry } of segments) {
        const span = spans.get(number)
        if (span && span.last < from) drop(number)
        if (span && (span.first >= to || span.last < from)) continue
        collect(await read(number), registry, { from, to, found })
      }
      const rows = [...numbered(found.single.sort(inRowOrder)), ...once(found.repeatable.sort(inRowOrder))]
      for (const row of rows) row[ID] = publicId(String(row[ID]))
      return rows
    },
  }
}

type Reader = {
  read: (number: string) => Promise<Segment>
  /** Drops a segment that is not read again. */
  drop: (number: string) => void
}

/**
 * Reads segments, and keeps those that fit in memory. If more segments cover a range than fit, some stay and the others are read again
 * for each range: dropping the one that was not used for longest would read all of them again.
 */
const createReader = (tx: Sql): Reader => {
  const kept = new Map<string, Segment>()
  let rows = 0
  return {
    read: async (number) => {
      const known = kept.get(number)
      if (known) return known
      const segment = await readSegment(tx, number)
      if (rows + segment.length <= MOST_KEPT) {
        kept.set(number, segment)
        rows += segment.length
      }
      return segment
    },
    drop: (number) => {
      rows -= kept.get(number)?.length ?? 0
      kept.delete(number)
    },
  }
}

/** The rows of a range: those that are each a request, and those that their source may report twice. */
type Found = { single: Value[][]; repeatable: Value[][] }

const collect = (
  segment: Segment,
  registry: string,
  { from, to, found }: { from: Micros; to: Micros; found: Found },
): void => {
  const { at, names, requesters, whats } = segment
  const valuesOf = createRequesterValues()
  const textOf = (number: number): string | null => names[number] ?? null
  const whos = requesters.map(({ who }) => valuesOf(who))
  for (let i = 0; i < segment.length; i++) {
    const time = at[i] ?? 0
    if (time < from || time >= to) continue
    const requester = segment.requester[i] ?? 0
    const what = whats[segment.what[i] ?? 0]
    if (!what) continue
    const bytes = segment.bytes[i] ?? NONE
    const row: Value[] = [
      ...[time, registry, textOf(what.repository), requesters[requester]?.origin ?? null],
      ...[idOf(segment, i), (what.flags & IS_HEAD) > 0 ? 'HEAD' : 'GET', OBJECTS[what.object] ?? null],
      ...[textOf(what.tag), textOf(what.digest), what.status],
      ...[textOf(what.mediaType), bytes === NONE ? null : bytes, false],
      ...(whos[requester] ?? []),
    ]
    if ((what.flags & MAY_REPEAT) > 0) found.repeatable.push(row)
    else found.single.push(row)
  }
}

const isRepeat = (row: Row, before: Row | undefined): boolean =>
  before !== undefined && compareColumns(row, before, KEY_COLUMNS) === 0

/** Equal lines of such sources are one request. */
const once = (rows: readonly Value[][]): Value[][] => rows.filter((row, i) => !isRepeat(row, rows[i - 1]))

/** Other equal lines are different requests, and get different ids, as their invocations have. */
const numbered = (rows: Value[][]): Value[][] => {
  let repeat = 0
  return rows.map((row, i) => {
    repeat = isRepeat(row, rows[i - 1]) ? repeat + 1 : 0
    return repeat === 0 ? row : row.with(ID, `${String(row[ID])}-${repeat}`)
  })
}

import type { Micros } from '../../events/calendar.js'
import { addToChain, closeUntil, continuesEarlier, overAt } from './chain.js'
import { createCursor, isSameRow, MAY_REPEAT, NONE, type RequestColumns } from './columns.js'
import type { ChainKey } from './outcome.js'
import { sortRows } from './sorted-rows.js'
import { startChain, type Chain, type FoldDeps } from './state.js'

type FoldColumnsDeps = FoldDeps<number> & {
  /** The number of chains: each number in `chain` and `previous`, and of an earlier chain, is below. */
  chainCount: number
  keyOf: (chain: number) => ChainKey
  /** No request is at or after this moment. */
  end: Micros
  /** Called with the number of a chain and its next row, before the row is added. */
  onRow: (chain: number, row: number) => void
  /** Called with the number of a chain before its last outcomes are emitted. */
  onEnd: (chain: number) => void
}

/** The result of folding columns. */
export type FoldedColumns = {
  /** The chains that requests after the end may continue, by their numbers. */
  open: Map<number, Chain<number>>
  /** The number of rows that repeat another row, and were not folded. */
  repeated: number
}

/** A fold that can pause between two rows. */
export type ColumnFold = {
  /** Folds the next rows. @returns whether rows remain */
  advance: (rows: number) => boolean
  /** To be called once, when no rows remain. */
  end: () => FoldedColumns
}

/**
 * Folds requests like `foldBatch`, from columns. The rows need not be in order. Outcomes that no request after the end can change are
 * emitted; the others stay in their chains.
 * @param earlier the chains that were open at the begin, by their numbers; they are changed
 */
export const createColumnFold = (
  columns: RequestColumns,
  earlier: ReadonlyMap<number, Chain<number>>,
  deps: FoldColumnsDeps,
): ColumnFold => {
  const { chainCount, keyOf, end, onRow, onEnd } = deps
  const { rows, starts } = sortRows(columns, chainCount)
  const { request, moveTo } = createCursor()
  const open = new Map<number, Chain<number>>()
  const untouched = new Map(earlier)
  /** The chains of the current group. Most groups are one chain. */
  let [number, chain]: [number, Chain<number> | undefined] = [NONE, undefined]
  const others = new Map<number, Chain<number>>()
  let repeated = 0
  let group = 0
  let next = 0

  const chainOf = (wanted: number): Chain<number> | undefined =>
    chain && wanted === number ? chain : (others.get(wanted) ?? untouched.get(wanted))
  const touch = (wanted: number): Chain<number> => {
    if (chain && wanted === number) return chain
    const found = chainOf(wanted) ?? startChain<number>(keyOf(wanted))
    if (untouched.size > 0) untouched.delete(wanted)
    if (chain) others.set(number, chain).delete(wanted)
    ;[number, chain] = [wanted, found]
    return found
  }
  const finish = (finished: Chain<number>, its: number): void => {
    onEnd(its)
    closeUntil(finished, end, deps)
    if (overAt(finished, deps.windows) >= end) open.set(its, finished)
  }
  const finishGroup = (): void => {
    if (chain) finish(chain, number)
    chain = undefined
    if (others.size === 0) return
    others.forEach(finish)
    others.clear()
  }
  const fold = (i: number): void => {
    const row = rows[i]!
    if (i > starts[group]! && isRepeat(columns, row, rows[i - 1]!)) {
      repeated++
      return
    }
    moveTo(columns, row)
    let wanted = columns.chain[row]!
    const previous = columns.previous[row]!
    if (previous !== NONE) {
      const before = chainOf(previous)
      if (before && continuesEarlier(before, chainOf(wanted), request, deps)) wanted = previous
    }
    const continued = touch(wanted)
    onRow(wanted, row)
    addToChain(continued, request, deps)
  }

  return {
    advance: (count) => {
      const last = Math.min(rows.length, next + count)
      for (; next < last; next++) {
        if (next === starts[group + 1]) {
          finishGroup()
          while (starts[group + 1]! <= next) group++
        }
        fold(next)
      }
      return next < rows.length
    },
    end: () => {
      finishGroup()
      untouched.forEach(finish)
      return { open, repeated }
    },
  }
}

/** Folds all rows of columns at once (see `createColumnFold`). */
export const foldColumns = (...fold: Parameters<typeof createColumnFold>): FoldedColumns => {
  const { advance, end } = createColumnFold(...fold)
  advance(Infinity)
  return end()
}

const isRepeat = (columns: RequestColumns, row: number, before: number): boolean =>
  (columns.flags[row]! & MAY_REPEAT) > 0 && isSameRow(columns, row, before)

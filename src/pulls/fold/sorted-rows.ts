import { compareRows, NONE, type RequestColumns } from './columns.js'

/** The rows of columns, sorted by group: those of a group begin at its start, and end before the start of the next group. */
export type SortedRows = { rows: Int32Array; starts: Int32Array }

/**
 * Sorts rows by the chains that they may continue, and by time within each group. A group is a chain, or several chains if origins
 * have previous names.
 */
export const sortRows = (columns: RequestColumns, chainCount: number): SortedRows => {
  const groups = groupsOf(columns, chainCount)
  const { chain, length } = columns
  const starts = new Int32Array(chainCount + 1)
  const groupAt = (row: number): number => groups[chain[row]!]!
  for (let row = 0; row < length; row++) starts[groupAt(row) + 1]!++
  for (let group = 0; group < chainCount; group++) starts[group + 1]! += starts[group]!
  const next = starts.slice()
  const rows = new Int32Array(length)
  for (let row = 0; row < length; row++) rows[next[groupAt(row)]!++] = row
  for (let group = 0; group < chainCount; group++) {
    sortRange(columns, rows, starts[group]!, starts[group + 1]!)
  }
  return { rows, starts }
}

/** The group of each chain: chains of one origin and of its previous name have one group. */
const groupsOf = ({ chain, previous, length }: RequestColumns, chainCount: number): Int32Array => {
  const groups = Int32Array.from({ length: chainCount }, (_, number) => number)
  const rootOf = (number: number): number => {
    let root = number
    while (groups[root] !== root) root = groups[root] = groups[groups[root]!]!
    return root
  }
  for (let row = 0; row < length; row++) {
    const before = previous[row]!
    if (before === NONE) continue
    const [a, b] = [rootOf(before), rootOf(chain[row]!)]
    if (a !== b) groups[Math.max(a, b)] = Math.min(a, b)
  }
  for (let number = 0; number < chainCount; number++) groups[number] = rootOf(number)
  return groups
}

/** Up to so many rows, an insertion sort takes less time than calls of a comparator. */
const FEW = 32

/** Sorts a range of rows. Logs are nearly in order, so most ranges are sorted already. */
const sortRange = (columns: RequestColumns, rows: Int32Array, from: number, to: number): void => {
  if (isSorted(columns, rows, from, to)) return
  if (to - from > FEW) {
    rows.subarray(from, to).sort((a, b) => compareRows(columns, a, b))
    return
  }
  for (let i = from + 1; i < to; i++) {
    const row = rows[i]!
    let j = i - 1
    while (j >= from && compareRows(columns, rows[j]!, row) > 0) {
      rows[j + 1] = rows[j]!
      j--
    }
    rows[j + 1] = row
  }
}

const isSorted = (columns: RequestColumns, rows: Int32Array, from: number, to: number): boolean => {
  for (let i = from + 1; i < to; i++) {
    if (compareRows(columns, rows[i - 1]!, rows[i]!) > 0) return false
  }
  return true
}

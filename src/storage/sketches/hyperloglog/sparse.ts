/**
 * The sparse body of a sketch: 16,384 registers as runs of one or two bytes:
 * `00xxxxxx` a run of 1 to 64 zeros, `01xxxxxx xxxxxxxx` one of 1 to 16,384 zeros, `1vvvvvll` 1 to 4 times the value 1 to 32.
 * The runs depend on the history of a sketch, not only on its registers. So the edits below follow Redis 7.0 (hyperloglog.c,
 * BSD-3-Clause, Salvatore Sanfilippo) step by step, and give equal bytes.
 */
export const LARGEST_SPARSE_VALUE = 32
const LONGEST_SHORT_ZEROS = 64
export const LONGEST_VALUE_RUN = 4
/** The number of runs that Redis checks after an edit for neighbours of the same value. */
const MERGE_WINDOW = 5

const isZeros = (byte: number): boolean => byte < 0x40
export const isLongZeros = (byte: number): boolean => (byte & 0xc0) === 0x40
export const isValue = (byte: number): boolean => byte >= 0x80
export const valueOf = (byte: number): number => ((byte >> 2) & 0x1f) + 1
const valueRun = (value: number, length: number): number => 0x80 | ((value - 1) << 2) | (length - 1)

/** How many registers the run at `at` covers. */
export const runLength = (body: Uint8Array, at: number): number => {
  const byte = body[at]!
  if (isValue(byte)) return (byte & 3) + 1
  if (isZeros(byte)) return (byte & 0x3f) + 1
  return (((byte & 0x3f) << 8) | body[at + 1]!) + 1
}

export const pushZeros = (runs: number[], length: number): void => {
  if (length === 0) return
  if (length > LONGEST_SHORT_ZEROS) runs.push(0x40 | ((length - 1) >> 8), (length - 1) & 0xff)
  else runs.push(length - 1)
}

export const pushValues = (runs: number[], value: number, length: number): void => {
  if (length > 0) runs.push(valueRun(value, length))
}

/** Calls back for each run, in register order: first register, length, value. */
export const forEachRun = (
  body: Uint8Array,
  visit: (first: number, length: number, value: number) => void,
): { registers: number; complete: boolean } => {
  let first = 0
  let at = 0
  while (at < body.length) {
    const byte = body[at]!
    if (isLongZeros(byte) && at + 1 >= body.length) return { registers: first, complete: false }
    const length = runLength(body, at)
    visit(first, length, isValue(byte) ? valueOf(byte) : 0)
    first += length
    at += isLongZeros(byte) ? 2 : 1
  }
  return { registers: first, complete: true }
}

/** The result of raising a register: no change, the body (changed in place, or new), or a body too large for this encoding. */
export type Raised = 'unchanged' | 'too_large' | Uint8Array

/**
 * Raises `register` to `value` if it is lower.
 * @param largestBody bytes to which the body may grow; beyond that the result is `too_large` and the body is unchanged
 */
export const raise = (body: Uint8Array, register: number, value: number, largestBody: number): Raised => {
  if (value > LARGEST_SPARSE_VALUE) return 'too_large'
  let previous = -1
  let at = 0
  let first = 0
  let length = runLength(body, at)
  while (register > first + length - 1) {
    previous = at
    at += isLongZeros(body[at]!) ? 2 : 1
    first += length
    length = runLength(body, at)
  }

  const byte = body[at]!
  if (isValue(byte) && valueOf(byte) >= value) return 'unchanged'
  if (length === 1 && !isLongZeros(byte)) {
    body[at] = valueRun(value, 1)
    return mergeNeighbours(body, Math.max(previous, 0))
  }

  const before = register - first
  const after = first + length - 1 - register
  const runs: number[] = []
  if (isValue(byte)) {
    pushValues(runs, valueOf(byte), before)
    pushValues(runs, value, 1)
    pushValues(runs, valueOf(byte), after)
  } else {
    pushZeros(runs, before)
    pushValues(runs, value, 1)
    pushZeros(runs, after)
  }
  const replaced = isLongZeros(byte) ? 2 : 1
  const growth = runs.length - replaced
  if (growth > 0 && body.length + growth > largestBody) return 'too_large'

  const edited = new Uint8Array(body.length + growth)
  edited.set(body.subarray(0, at))
  edited.set(runs, at)
  edited.set(body.subarray(at + replaced), at + runs.length)
  return mergeNeighbours(edited, Math.max(previous, 0))
}

const mergeNeighbours = (body: Uint8Array, from: number): Uint8Array => {
  let at = from
  let end = body.length
  for (let looked = 0; looked < MERGE_WINDOW && at < end; looked++) {
    const byte = body[at]!
    if (!isValue(byte)) {
      at += isLongZeros(byte) ? 2 : 1
      continue
    }
    const next = at + 1 < end ? body[at + 1]! : 0
    const together = (byte & 3) + (next & 3) + 2
    if (isValue(next) && valueOf(next) === valueOf(byte) && together <= LONGEST_VALUE_RUN) {
      body[at + 1] = valueRun(valueOf(byte), together)
      body.copyWithin(at, at + 1, end)
      end--
    } else {
      at++
    }
  }
  return end === body.length ? body : body.subarray(0, end)
}

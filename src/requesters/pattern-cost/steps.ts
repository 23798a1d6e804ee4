import { alphabetOf } from './alphabet.js'
import { NotBounded, positionsOf, type Positions } from './positions.js'

/** A set of positions that attempts can have reached at the same time, with the number of attempts at each. */
type Reached = { key: string; at: readonly number[]; counts: Float64Array }
/**
 * The positions that one more character leads to. An edge has the index of the old position, the index of the new one, and the
 * number of ways.
 */
type Move = { key: string; at: readonly number[]; edges: readonly (readonly [number, number, number])[] }

/** After so much work, about a second, counting is given up. */
const MOST_WORK = 20_000_000
const MOST_SETS = 2_000

/**
 * An upper bound of the steps that a backtracking engine takes to search for a pattern in any text of a length, whether or not it
 * finds a match. A step is one attempt to continue from a matched character to a position that may match the next one. An engine
 * that never tries the same way twice, as ECMAScript prescribes, takes at most so many steps; V8 takes fewer, because it skips
 * some attempts.
 *
 * Texts that lead to the same set of positions are counted together: for each position of the set, with the largest number of
 * attempts of any of these texts. So the bound holds for every text, and may be too high.
 * @returns at least `most` if there are more steps
 * @throws NotBounded if the duration cannot be bounded
 */
export const stepsOf = (pattern: string, length: number, most = Infinity): number => {
  const positions = positionsOf(pattern)
  const moves = createMoves(positions)
  const tried = positions.follow.map((ways, i) => 1 + total(ways) + (positions.ends.get(i) ?? 0))
  let reached: Reached[] = [{ key: '0', at: [0], counts: Float64Array.of(1) }]
  let steps = 0
  let work = 0
  for (let read = 0; ; read++) {
    const here = Math.max(
      ...reached.map(({ at, counts }) => at.reduce((all, one, i) => all + (counts[i] ?? 0) * (tried[one] ?? 0), 0)),
    )
    steps += here
    if (read === length || steps >= most || reached.length === 0) return steps
    const { next, done } = onwards(reached, moves)
    if ((work += done) > MOST_WORK) throw new NotBounded('is too complex to be judged')
    if (isSame(reached, next)) return steps + here * (length - read)
    reached = next
  }
}

const total = (ways: ReadonlyMap<number, number>): number => [...ways.values()].reduce((all, one) => all + one, 0)

/** All sets of positions that one more character may lead to. */
const onwards = (
  reached: readonly Reached[],
  moves: (from: readonly number[], key: string) => readonly Move[],
): { next: Reached[]; done: number } => {
  const next = new Map<string, Reached>()
  let done = 0
  for (const { key: from, at: before, counts } of reached) {
    for (const { key, at, edges } of moves(before, from)) {
      done += edges.length + 1
      const its = new Float64Array(at.length)
      for (const [start, end, ways] of edges) its[end] = (its[end] ?? 0) + (counts[start] ?? 0) * ways
      const known = next.get(key)
      if (known) its.forEach((count, i) => (known.counts[i] = Math.max(known.counts[i] ?? 0, count)))
      else next.set(key, { key, at, counts: its })
    }
  }
  return { next: [...next.values()], done }
}

/** Computes the moves by each class of characters, once for each set of positions. */
const createMoves = ({ takers, follow }: Positions): ((from: readonly number[], key: string) => readonly Move[]) => {
  const alphabet = alphabetOf(takers)
  const known = new Map<string, readonly Move[]>()
  const moveBy = (from: readonly number[], takes: readonly boolean[]): Move => {
    const places = new Map<number, number>()
    const edges = from.flatMap((one, start) =>
      [...(follow[one] ?? [])].flatMap(([to, ways]) => {
        if (takes[to] !== true) return []
        if (!places.has(to)) places.set(to, places.size)
        return [[start, to, ways] as const]
      }),
    )
    const at = [...places.keys()].sort((a, b) => a - b)
    const placeOf = new Map(at.map((one, i) => [one, i]))
    return { key: at.join(), at, edges: edges.map(([start, to, ways]) => [start, placeOf.get(to) ?? 0, ways]) }
  }
  return (from, key) => {
    const found = known.get(key)
    if (found) return found
    if (known.size >= MOST_SETS) throw new NotBounded('is too complex to be judged')
    const made = withoutLesser(alphabet.map((takes) => moveBy(from, takes)))
    known.set(key, made)
    return made
  }
}

/** Removes moves whose ways are all among the ways of another move: the other move leads to at least as many steps. */
const withoutLesser = (moves: readonly Move[]): Move[] => {
  const kept: { move: Move; ways: ReadonlySet<string> }[] = []
  for (const move of [...moves].sort((a, b) => b.edges.length - a.edges.length)) {
    const ways = move.edges.map(([start, end]) => `${start} ${move.at[end] ?? ''}`)
    if (kept.some((more) => ways.every((way) => more.ways.has(way)))) continue
    kept.push({ move, ways: new Set(ways) })
  }
  return kept.map(({ move }) => move)
}

const isSame = (before: readonly Reached[], after: readonly Reached[]): boolean => {
  if (before.length !== after.length) return false
  const known = new Map(before.map(({ key, counts }) => [key, counts]))
  return after.every(({ key, counts }) => {
    const its = known.get(key)
    return its?.every((count, i) => count === counts[i]) === true
  })
}

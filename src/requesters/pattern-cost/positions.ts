import { RegExpParser, type AST } from '@eslint-community/regexpp'

/** The duration of a pattern cannot be bounded. The message contains the reason, as the end of a sentence about the pattern. */
export class NotBounded extends Error {}

/** A part of a pattern that matches one character; undefined matches none. */
export type Taker = AST.Character | AST.CharacterSet | AST.CharacterClass | 'any' | undefined

/** The positions at which a match can continue, each with the number of ways that lead to it. */
type Ways = ReadonlyMap<number, number>

/**
 * A pattern as an automaton (Glushkov's construction, with multiplicities). A position is a part of the pattern that matches one
 * character. `follow` has, for each position, the positions that may match the next character, and the number of ways that lead
 * there. The first two positions are the beginning of the text, and all characters before a match that begins later.
 */
export type Positions = {
  takers: readonly Taker[]
  follow: readonly Ways[]
  /** The number of ways in which the pattern can end after each position. */
  ends: Ways
}

/**
 * A part of a pattern: the number of ways in which it matches an empty text, the positions with which it begins, and those with
 * which it ends.
 */
type Part = { empty: number; first: Ways; last: Ways }

const NOWHERE: Ways = new Map()
const NOTHING: Part = { empty: 1, first: NOWHERE, last: NOWHERE }
const BEGINNING = 0
const BEFORE = 1

/** No pattern for a user agent needs more parts, and counting more would take long. */
const MOST_PARTS = 2_000
const MOST_WAYS = 1_000_000

/** @throws NotBounded */
export const positionsOf = (pattern: string): Positions => {
  const takers: Taker[] = [undefined, 'any']
  const follow = [new Map<number, number>(), new Map<number, number>()]
  let parts = 0

  const position = (taker: Taker): Part => {
    const ways: Ways = new Map([[takers.push(taker) - 1, 1]])
    follow.push(new Map())
    return { empty: 0, first: ways, last: taker === undefined ? NOWHERE : ways }
  }
  /** A position for attempts that always fail: the engine makes so many of them. */
  const nowhere = (times: number): Ways => (times === 0 ? NOWHERE : scaled(position(undefined).first, times))
  const join = (last: Ways, first: Ways): void => {
    for (const [from, before] of last)
      for (const [to, after] of first) add(follow[from] ?? new Map<number, number>(), to, before * after)
  }
  const then = (a: Part, b: Part): Part => {
    join(a.last, b.first)
    return {
      empty: few(a.empty * b.empty),
      first: sum(a.first, scaled(b.first, a.empty)),
      last: sum(b.last, scaled(a.last, b.empty)),
    }
  }
  const either = (a: Part, b: Part): Part => ({
    empty: few(a.empty + b.empty),
    first: sum(a.first, b.first),
    last: sum(a.last, b.last),
  })
  /**
   * The positions after one repetition. The engine tries a repetition that matches an empty text, and gives it up (ECMAScript,
   * RepeatMatcher).
   */
  const again = ({ empty, first, last }: Part): Ways => {
    const next = sum(first, nowhere(empty))
    join(last, next)
    return next
  }
  const repeated = (build: () => Part, min: number, max: number): Part => {
    let rest = NOTHING
    if (max === Infinity) {
      const body = build()
      const next = again(body)
      const { empty, first, last } = body
      rest = min === 0 ? { empty: 1, first: next, last } : { empty, first: sum(first, scaled(next, empty)), last }
    } else for (let i = min; i < max; i++) rest = either(NOTHING, then(build(), rest))
    for (let i = max === Infinity ? 1 : 0; i < min; i++) rest = then(build(), rest)
    return rest
  }
  const inside = (alternatives: readonly AST.Alternative[], atStart: boolean): Part =>
    alternatives
      .map(({ elements }) => elements.reduce((part, one) => then(part, partOf(one, atStart)), NOTHING))
      .reduce(either)

  const partOf = (node: AST.Element, atStart: boolean): Part => {
    if (++parts > MOST_PARTS) throw new NotBounded('repeats too much to be judged')
    switch (node.type) {
      case 'Character':
      case 'CharacterSet':
      case 'CharacterClass':
        return position(node)
      case 'CapturingGroup':
        return inside(node.alternatives, atStart)
      case 'Group':
        if (node.modifiers) break
        return inside(node.alternatives, atStart)
      case 'Quantifier':
        return repeated(() => partOf(node.element, atStart), node.min, node.max)
      case 'Assertion': {
        if (node.kind === 'lookahead') {
          // The engine takes the first match of a lookahead, and does not continue from there.
          const { empty, first } = inside(node.alternatives, atStart)
          return { empty: 1, first: sum(first, nowhere(empty)), last: NOWHERE }
        }
        if (node.kind === 'lookbehind') break
        if (node.kind === 'start' && !atStart) return { empty: 0, first: nowhere(1), last: NOWHERE }
        // Any other assertion is assumed to be true, because that gives more ways to continue.
        return NOTHING
      }
    }
    throw new NotBounded(`has ${node.raw}, whose time cannot be bounded`)
  }

  const { alternatives } = new RegExpParser().parsePattern(pattern, 0, pattern.length, { unicode: false })
  const [now, later] = [inside(alternatives, true), inside(alternatives, false)]
  join(new Map([[BEGINNING, 1]]), sum(now.first, new Map([[BEFORE, 1]])))
  join(new Map([[BEFORE, 1]]), sum(later.first, new Map([[BEFORE, 1]])))
  const empty = new Map([
    [BEGINNING, now.empty],
    [BEFORE, later.empty],
  ])
  return { takers, follow, ends: sum(empty, sum(now.last, later.last)) }
}

const few = (ways: number): number => {
  if (ways > MOST_WAYS) throw new NotBounded('can match an empty text in more than a million ways')
  return ways
}

const add = (ways: Map<number, number>, to: number, count: number): void => {
  ways.set(to, few((ways.get(to) ?? 0) + count))
}

const sum = (a: Ways, b: Ways): Ways => {
  if (a.size === 0) return b
  if (b.size === 0) return a
  const both = new Map(a)
  for (const [to, count] of b) add(both, to, count)
  return both
}

const scaled = (ways: Ways, times: number): Ways =>
  times === 1 ? ways : times === 0 ? NOWHERE : new Map([...ways].map(([to, count]) => [to, few(count * times)]))

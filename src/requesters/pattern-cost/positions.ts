import { RegExpParser, type AST } from '@eslint-community/regexpp'

/** Nothing can be said of how long a pattern takes. The message says why, as the end of a sentence about it. */
export class NotBounded extends Error {}

/** What takes one character; undefined takes none. */
export type Taker = AST.Character | AST.CharacterSet | AST.CharacterClass | 'any' | undefined

/** Where a match can go on, and in how many ways. */
type Ways = ReadonlyMap<number, number>

/**
 * A pattern by its positions, which are what takes a character (Glushkov's automaton, with multiplicities): from each, those that
 * may take the next, and in how many ways matching comes there. The first two are the beginning, and all that is passed over
 * before a match that begins later.
 */
export type Positions = {
  takers: readonly Taker[]
  follow: readonly Ways[]
  /** In how many ways the pattern can end behind each. */
  ends: Ways
}

/** A part of a pattern: in how many ways it takes nothing, which positions begin it, and which end it. */
type Part = { empty: number; first: Ways; last: Ways }

const NOWHERE: Ways = new Map()
const NOTHING: Part = { empty: 1, first: NOWHERE, last: NOWHERE }
const BEGINNING = 0
const BEFORE = 1

/** No pattern for an agent needs more, and counting would take long. */
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
  /** What is tried so often, and leads nowhere. */
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
  /** What comes after a round. One that takes nothing is tried and given up (ECMAScript, RepeatMatcher). */
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
          // What it finds is found once, and not gone on from.
          const { empty, first } = inside(node.alternatives, atStart)
          return { empty: 1, first: sum(first, nowhere(empty)), last: NOWHERE }
        }
        if (node.kind === 'lookbehind') break
        if (node.kind === 'start' && !atStart) return { empty: 0, first: nowhere(1), last: NOWHERE }
        // One that may hold or not is taken to hold: so there are more ways to go on.
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
  if (ways > MOST_WAYS) throw new NotBounded('can take nothing in more than a million ways')
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

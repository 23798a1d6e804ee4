import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parse } from 'yaml'
import { LONGEST_AGENT, MOST_STEPS } from '../../../src/requesters/client.js'
import { NotBounded } from '../../../src/requesters/pattern-cost/positions.js'
import { stepsOf } from '../../../src/requesters/pattern-cost/steps.js'
import { sourceOf, stepsTaken, type Tree } from '../../servers/backtrack.js'
import { runs } from '../../servers/runs.js'
import { ROOT } from '../../servers/service.js'

type Rule = { client: string; pattern: string; with?: string[] }
const { clients } = parse(readFileSync(join(ROOT, 'definitions', 'clients.yml'), 'utf8')) as { clients: Rule[] }
const PATTERNS = clients.flatMap(({ pattern, with: others = [] }) => [pattern, ...others])

describe('the rules that come with Tallyman', () => {
  test('are of 47 clients', () => {
    expect(new Set(clients.map(({ client }) => client)).size).toBe(47)
  })

  test.each(PATTERNS)('%s takes few steps on any agent, and with its length they grow no faster', (pattern) => {
    const steps = stepsOf(pattern, LONGEST_AGENT)
    expect(steps).toBeLessThan(MOST_STEPS / 2)
    // One of them is quadratic, in what Docker says of the client that asked it.
    const growth = stepsOf(pattern, 2 * LONGEST_AGENT) / steps
    expect(growth).toBeLessThan(pattern.includes('UpstreamClient') ? 4.2 : 2.1)
  })
})

describe('the bound', () => {
  const letters = ['a', 'b', '[ab]', '[^a]', '.'] as const
  const takes = fc.constantFrom(...letters).map((source): Tree => {
    const pattern = new RegExp(source)
    return { is: 'takes', source, takes: (character) => pattern.test(character) }
  })
  const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      takes,
      fc.record({
        is: fc.constantFrom('one after the other' as const, 'one of' as const),
        parts: fc.array(tie('tree'), { minLength: 1, maxLength: 3 }),
      }),
      fc.record({
        is: fc.constant('repeats' as const),
        part: tie('tree'),
        min: fc.constantFrom(0, 0, 1, 2),
        max: fc.constantFrom(2, 3, Infinity),
        isLazy: fc.boolean(),
      }),
      fc.record({ is: fc.constant('looks ahead' as const), part: tie('tree'), isNot: fc.boolean() }),
      fc.constantFrom<Tree>({ is: 'start' }, { is: 'end' }),
    ),
  }))
  const text = fc.array(fc.constantFrom('a', 'b'), { maxLength: 8 }).map((all) => all.join(''))

  /** Undefined for a pattern of which nothing can be said; the rules of clients refuse it. */
  const boundOf = (source: string, length: number): number | undefined => {
    try {
      return stepsOf(source, length, 1e5)
    } catch (error) {
      if (error instanceof NotBounded) return undefined
      throw error
    }
  }

  test('is none for a pattern that can match an empty text in more than a million ways', () => {
    const source = Array.from({ length: 3 }).reduce<string>((part) => `(?:${part}){2,3}`, '(?:(?=a)|(?=a)|(?=a))')
    expect(() => stepsOf(source, 0)).toThrow(new NotBounded('can match an empty text in more than a million ways'))
  })

  test('is never less than an engine takes that tries all ways', () => {
    let judged = 0
    fc.assert(
      fc.property(tree, text, (pattern, tried) => {
        const source = sourceOf(pattern)
        const bound = boundOf(source, tried.length)
        if (bound === undefined || bound >= 1e5) return
        judged++
        expect([source, stepsTaken(pattern, tried, bound)]).not.toEqual([source, Infinity])
      }),
      runs(3_000),
    )
    expect(judged).toBeGreaterThan(2_000)
  })

  test('is met: where each way is one, it is what an engine takes', () => {
    const a: Tree = { is: 'takes', source: 'a', takes: (character) => character === 'a' }
    const each: Tree = { is: 'repeats', part: a, min: 0, max: Infinity, isLazy: false }
    const pattern: Tree = { is: 'one after the other', parts: [{ is: 'start' }, each, each, { is: 'end' }] }
    const taken = stepsTaken(pattern, 'a'.repeat(40), 1e6)
    expect(stepsOf(sourceOf(pattern), 40) / taken).toBeLessThan(4)
  })
})

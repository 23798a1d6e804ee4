import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { hasMoreStructuralTokens } from '../../src/runtime/structural-tokens.js'
import { runs } from '../servers/runs.js'

/** The tokens of a value by its definition, without its text. */
const tokensOf = (value: unknown): number => {
  if (typeof value !== 'object' || value === null) return 0
  const parts: unknown[] = Object.values(value)
  return 1 + Math.max(0, parts.length - 1) + parts.reduce<number>((sum, part) => sum + tokensOf(part), 0)
}

const QUOTING = fc.constantFrom('"', '\\', '\\"', '{,[', '\\\\"{', 'é€🙂,', '\u0000,')

test('counts what is outside of strings, whatever is inside', () => {
  const text = fc.array(fc.oneof(QUOTING, fc.string()), { maxLength: 4 }).map((parts) => parts.join(''))
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof({ maxDepth: 4 }, text, fc.double(), fc.array(tie('tree')), fc.dictionary(text, tie('tree'))),
  }))
  fc.assert(
    fc.property(tree, fc.constantFrom(undefined, 3), (value, indent) => {
      const json = Buffer.from(JSON.stringify(value, null, indent))
      const tokens = tokensOf(JSON.parse(json.toString()))
      expect(hasMoreStructuralTokens(json, tokens)).toBe(false)
      if (tokens > 0) expect(hasMoreStructuralTokens(json, tokens - 1)).toBe(true)
    }),
    runs(1_000),
  )
})

test.each(['', '"', '"\\', '"a\\"', '"{,[\\"', '{"a', '\\', '\\"{'])('ends with the text %j', (text) => {
  expect(hasMoreStructuralTokens(Buffer.from(text), 1)).toBe(false)
})

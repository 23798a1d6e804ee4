import { describe, expect, test } from '@jest/globals'
import { BATCH_PARTS } from '../../src/ingest/store-batch.js'

const textOf = ({ text }: (typeof BATCH_PARTS)[number]): string => text((number) => `$${number}`)
/** A word in front of `as (` and a statement. */
const definedIn = (text: string): string[] =>
  [...text.matchAll(/(\w+) as \(\s*(?:insert|select)\b/g)].map(([, name = '']) => name)

describe('the parts of the statement of a batch', () => {
  test.each(BATCH_PARTS.map((part) => [part.name, part] as const))('%s: declares what its text provides', (_, part) => {
    expect(definedIn(textOf(part))).toEqual(part.provides)
  })

  test.each(BATCH_PARTS.map((part) => [part.name, part] as const))('%s: declares what its text requires', (_, part) => {
    const provided = BATCH_PARTS.filter((other) => other !== part).flatMap(({ provides }) => provides)
    const words = new Set(textOf(part).match(/\w+/g))
    expect(provided.filter((name) => words.has(name)).sort()).toEqual([...part.requires].sort())
  })
})

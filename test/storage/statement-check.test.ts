import { describe, expect, test } from '@jest/globals'
import { StatementRefused, toStatement } from '../../src/storage/statement-check.js'

describe('the first word of a statement', () => {
  test.each(['delete from tallies', ' Drop table x', '/* a */ update x set y = 1', 'explain delete from x', 'selct 1'])(
    'is named if it does not begin a query: %s',
    (text) => {
      expect(() => toStatement(text)).toThrow(StatementRefused)
      expect(() => toStatement(text)).toThrow(
        /^"(delete|drop|update|selct)" is refused: a statement can only read, so it begins with select, with, values, table, show or explain$/,
      )
    },
  )

  test.each([
    'select 1',
    '(select 1)',
    'WITH a as (select 1) table a',
    'values (1)',
    'explain (analyze) select 1',
    'show all',
  ])('may begin a query: %s', (text) => {
    expect(() => toStatement(text)).not.toThrow()
  })
})

import { expect, test } from '@jest/globals'
import { refusalOf } from '../../src/storage/statement-check.js'

const SYNTAX = new Error('syntax error at or near "x"')

test.each([
  ['delete from tallies', 'delete'],
  [' Drop table x', 'drop'],
  ['/* a */ update x set y = 1', 'update'],
  ['explain delete from x', 'delete'],
  ['explain (analyze) insert into x values (1)', 'insert'],
  ['selct 1', 'selct'],
])('%s is refused with a sentence on what a statement begins with', (text, word) => {
  expect(refusalOf(text, SYNTAX)).toBe(
    `"${word}" is refused: a statement can only read, so it begins with select, with, values, table, show, explain`,
  )
})

test.each(['select x x x', '(select 1', 'WITH a', 'values', 'table x y', 'explain (analyze) select', 'show a b;c', ''])(
  'the error of the database says more about a query: %s',
  (text) => {
    expect(refusalOf(text, SYNTAX)).toBe('the database refused the statement: syntax error at or near "x"')
  },
)

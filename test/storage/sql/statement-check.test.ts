import { expect, test } from '@jest/globals'
import { refusalOf } from '../../../src/storage/sql/statement-check.js'

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

test('an unknown table, column or schema is refused with where they are listed', () => {
  for (const code of ['42P01', '42703', '3F000'])
    expect(refusalOf('select x', Object.assign(new Error('relation "x" does not exist'), { code }))).toBe(
      'the database refused the statement: relation "x" does not exist; docs/inventory.md ("The schema") lists the tables and columns',
    )
})

test.each(['select x x x', '(select 1', 'WITH a', 'values', 'table x y', 'explain (analyze) select', 'show a b;c', ''])(
  'the error of the database says more about a query: %s',
  (text) => {
    expect(refusalOf(text, SYNTAX)).toBe('the database refused the statement: syntax error at or near "x"')
  },
)

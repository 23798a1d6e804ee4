import { describe, expect, test } from '@jest/globals'
import { csvLine } from '../../src/runtime/csv.js'

describe('a line of CSV', () => {
  test.each('=+-@\t\r\n\uff1d\uff0b\uff0d\uff20'.split(''))(
    'marks a cell that begins with %j, so that no spreadsheet runs it',
    (first) => {
      expect(csvLine([`${first}cmd|' /C calc'!A0`])).toMatch(/^"?'/)
      expect(csvLine([`a${first}1`])).not.toContain(`'`)
    },
  )

  test('quotes what would end a cell, and leaves numbers as they are', () => {
    expect(csvLine(['a,b', 'say "x"', 'two\nlines', -1, null, undefined, { a: 1 }])).toBe(
      '"a,b","say ""x""","two\nlines",-1,,,"{""a"":1}"\r\n',
    )
  })
})

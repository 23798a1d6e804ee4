import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import stringWidth from 'string-width'
import { cutMiddle, fitTable, GAP, recordsOf, shortenDigests } from '../../src/cli/fit-table.js'

const HEX = '4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1'

describe('a table on a terminal', () => {
  test('has digests of 12 hexadecimal digits, with the algorithm unless it is sha256', () => {
    expect(shortenDigests(`sha256:${HEX}`)).toBe('4bcff63911fc')
    expect(shortenDigests(`sha512:${HEX}${HEX}`)).toBe('sha512:4bcff63911fc')
    expect(shortenDigests(`manifest sha256:${HEX} is gone`)).toBe('manifest 4bcff63911fc is gone')
    expect(shortenDigests('v1.2.3:4bcff63911fc')).toBe('v1.2.3:4bcff63911fc')
  })

  test('cuts the longest names in the middle, and nothing else, until it fits', () => {
    const fitted = fitTable(
      {
        heading: ['repository', 'tag', 'size', 'pushed at'],
        rows: [
          ['platform/observability/collector-distribution', '1.0', '12.5 MiB', '2026-11-21 10:00:00 UTC'],
          ['team/app', 'latest', '1.0 GiB', '2026-11-20 09:00:00 UTC'],
        ],
      },
      70,
    )
    expect(fitted?.rows).toEqual([
      ['platform/observa…-distribution', '1.0', '12.5 MiB', '2026-11-21 10:00:00 UTC'].map((cell, i) =>
        i === 0 ? expect.stringMatching(/^platform\/.*….*distribution$/) : cell,
      ),
      ['team/app', 'latest', '1.0 GiB', '2026-11-20 09:00:00 UTC'],
    ])
  })

  test('is printed as records if its columns cannot become narrow enough', () => {
    const table = { heading: ['repository', 'pushed at'], rows: [['team/app', '2026-11-21 10:00:00 UTC']] }
    expect(fitTable(table, 20)).toBeUndefined()
    expect(recordsOf(table, 40)).toBe('repository  team/app\npushed at   2026-11-21 10:00:00 UTC')
  })

  test('never cuts a number, a size, a time or a share', () => {
    const cells = ['1234567890123', '1023.9 MiB', '2026-11-21 10:00:00 UTC', '100.0 %']
    expect(fitTable({ heading: ['a', 'b', 'c', 'd'], rows: [cells] }, 59)?.rows).toEqual([cells])
    expect(fitTable({ heading: ['a', 'b', 'c', 'd'], rows: [cells] }, 58)).toBeUndefined()
  })

  test('is never wider than the terminal, whatever the names are', () => {
    const text = fc.oneof(fc.string({ maxLength: 200 }), fc.string({ unit: 'grapheme', maxLength: 80 }))
    fc.assert(
      fc.property(
        fc.array(fc.tuple(text, text, text), { maxLength: 5 }),
        fc.integer({ min: 20, max: 200 }),
        (rows, width) => {
          const fitted = fitTable({ heading: ['one', 'two', 'three'], rows }, width)
          if (!fitted) return
          const widths = [0, 1, 2].map((i) =>
            Math.max(stringWidth(fitted.heading[i] ?? ''), ...fitted.rows.map((row) => stringWidth(row[i] ?? ''))),
          )
          expect(widths.reduce((sum, own) => sum + own, 2 * GAP)).toBeLessThanOrEqual(width)
        },
      ),
    )
  })

  test('keeps a character of several code points whole', () => {
    const family = '👩‍👩‍👧'
    expect(cutMiddle(`${family}${'x'.repeat(30)}${family}`, 9)).toBe(`${family}xx…xx${family}`)
  })
})

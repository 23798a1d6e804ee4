import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import stringWidth from 'string-width'
import { cutMiddle, fitTable, GAP, recordsOf, shortenDigests } from '../../../src/cli/terminal/fit-table.js'
import { runs } from '../../servers/runs.js'

const HEX = '4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1'

/** Cut in the middle, each would be another value. */
const WHOLE = [
  '1234567890123',
  '-1234567890.125',
  '1,234,567,890',
  '1.2345678901234e-7',
  '1023.9 MiB',
  '1234567.9 PiB',
  '86400.125 s',
  '100.0 %',
  '2026-11-21 10:00:00 UTC',
  '2026-11-21T10:00:00Z',
  '2026-11-21T10:00:00.000000Z',
  '2026-11-21T10:00:00.000Z',
  '2026-11-21T10:00:00+05:30',
  '2026-11-21 10:00:00.123456+00',
  '+012026-11-21T10:00:00.000Z',
  '2026-11-21T16:00',
  '2026-11-21',
  '2026-W47',
  '10:00:00.123456',
]
/** Characters of two columns, of several code points, and without a width of their own. */
const WIDE = ['容', '镜', 'ｗ', '👩‍👩‍👧', '🚀', '🇩🇪', 'e\u0301', '\u0308', '\u200b', '한', '\u1112\u1161\u11ab', 'a']

describe('a table on a terminal', () => {
  test('has digests of 12 hexadecimal digits, with the algorithm unless it is sha256', () => {
    expect(shortenDigests(`sha256:${HEX}`)).toBe('4bcff63911fc')
    expect(shortenDigests(`sha512:${HEX}${HEX}`)).toBe('sha512:4bcff63911fc')
    expect(shortenDigests(`manifest sha256:${HEX} is gone`)).toBe('manifest 4bcff63911fc is gone')
    expect(shortenDigests('v1.2.3:4bcff63911fc')).toBe('v1.2.3:4bcff63911fc')
  })

  test.each([
    `md5:${HEX.slice(0, 32)}`,
    `trace:${HEX.slice(0, 32)}`,
    `trace:${HEX}`,
    `sha256:${HEX.slice(1)}`,
    `sha256:${HEX}0`,
    `sha512:${HEX}`,
    `x-sha256:${HEX}`,
    `sha256-${HEX}`,
  ])('shortens nothing that is no digest of a registered algorithm: %s', (text) => {
    expect(shortenDigests(text)).toBe(text)
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

  test.each(WHOLE)('never cuts %s, whatever else is in its column', (cell) => {
    for (const beside of ['never', '', 'a-name-that-is-longer-than-all-the-others'])
      for (let width = 20; width <= 80; width++) {
        const table = {
          heading: ['name', 'value'],
          rows: [
            ['platform/observability/collector-distribution', cell],
            ['team/app', beside],
          ],
        }
        const fitted = fitTable(table, width)
        if (fitted) expect([width, fitted.rows[0]?.[1]]).toEqual([width, cell])
        expect(recordsOf(table, width)).toContain(cell)
      }
  })

  test('keeps times whole in the list of registries, of which one was never heard', () => {
    const heading = ['registry', 'hosts', 'processes', 'events', 'last received', 'identified by']
    const rows = [
      ['registry.example.com', 'registry.example.com', '1', '12', '2026-11-27 16:36:00 UTC', 'its processes'],
      ['mirror.example.com', 'mirror.example.com', '0', '0', 'never', 'its hosts in the configuration'],
    ]
    expect(fitTable({ heading, rows }, 80)?.rows.map((row) => row[4])).toEqual(['2026-11-27 16:36:00 UTC', 'never'])
  })

  test('cuts no number apart in a sentence', () => {
    const sentence = 'without the first 10 (53.3 %), as of 2026-11-21 10:00:00 UTC, and 15 more'
    const numbers = new Set(sentence.match(/[\d.:-]+/g))
    for (let width = 9; width < sentence.length; width++)
      for (const number of cutMiddle(sentence, width).match(/\d[\d.:-]*/g) ?? [])
        expect([width, numbers.has(number)]).toEqual([width, true])
  })

  test('is never wider than the terminal, whatever the names are', () => {
    const text = fc.oneof(
      fc.string({ maxLength: 200 }),
      fc.string({ unit: 'grapheme', maxLength: 80 }),
      fc.string({ unit: fc.constantFrom(...WIDE), maxLength: 60 }),
      fc.constantFrom(...WHOLE),
    )
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
      runs(100),
    )
  })

  test('has records that are no wider than the terminal, except for one value that is', () => {
    const text = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 80 }),
      fc.string({ unit: fc.constantFrom(...WIDE), maxLength: 60 }),
      fc.constantFrom(...WHOLE),
    )
    fc.assert(
      fc.property(fc.tuple(text, text), text, fc.integer({ min: 30, max: 80 }), (row, name, width) => {
        const lines = recordsOf({ heading: ['one', name], rows: [row] }, width).split('\n')
        for (const line of lines)
          expect([line, stringWidth(line) <= width || WHOLE.includes(line.trim())]).toEqual([line, true])
      }),
      runs(100),
    )
  })

  test.each([
    ['east Asian', '容器镜像仓库'.repeat(10)],
    ['emoji', '👩‍👩‍👧🚀'.repeat(10)],
    ['letters with combining accents', 'e\u0301a\u0308'.repeat(30)],
    ['Hangul of single letters', '\u1112\u1161\u11ab'.repeat(20)],
  ])('cuts names of %s between characters', (_, name) => {
    const characters = new Set([...new Intl.Segmenter().segment(name)].map(({ segment }) => segment))
    for (let width = 9; width < 20; width++) {
      const cut = cutMiddle(name, width)
      expect(stringWidth(cut)).toBeLessThanOrEqual(width)
      expect(stringWidth(cut)).toBeGreaterThanOrEqual(width - 6)
      const kept = [...new Intl.Segmenter().segment(cut.replace('…', ''))].map(({ segment }) => segment)
      expect(kept.filter((one) => !characters.has(one))).toEqual([])
    }
  })

  test('keeps a character of several code points whole', () => {
    const family = '👩‍👩‍👧'
    expect(cutMiddle(`${family}${'x'.repeat(30)}${family}`, 9)).toBe(`${family}xx…xx${family}`)
  })
})

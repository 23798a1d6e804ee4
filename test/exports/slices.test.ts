import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { startOfDay } from '../../src/events/calendar.js'
import { inRowOrder, type Row } from '../../src/exports/columns.js'
import { divide, readSorted, type DaySource } from '../../src/exports/slices.js'
import { runs } from '../servers/runs.js'

const DAY = '2026-11-21'
const START = startOfDay(DAY) ?? 0

const sourceOf = (rows: readonly Row[]): DaySource => ({
  count: async () => Promise.resolve(rows.length),
  countSeconds: async (add) => {
    for (const [at] of rows) add(Math.floor((Number(at) - START) / 1_000_000), 1)
    return Promise.resolve()
  },
  rowsBetween: async (from, to) => Promise.resolve(rows.filter(([at]) => Number(at) >= from && Number(at) < to)),
})

const row = fc.tuple(
  fc.oneof(fc.integer({ min: 0, max: 3_000_000 }), fc.integer({ min: 0, max: 86_399_999_999 })).map((at) => START + at),
  fc.constantFrom('a', 'b', null),
  fc.nat({ max: 2 }),
)

describe('rows that are read in slices', () => {
  test('are all rows of all sources in one order, however few rows are sorted at once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { maxLength: 60 }),
        fc.nat(),
        fc.integer({ min: 1, max: 20 }),
        async (rows, cut, most) => {
          const sources = [sourceOf(rows.slice(0, cut % 61)), sourceOf(rows.slice(cut % 61).reverse())]
          const read: Row[] = []
          await readSorted(
            DAY,
            sources,
            async (more) => {
              read.push(...more)
              return Promise.resolve()
            },
            most,
          )
          expect(read).toEqual([...rows].sort(inRowOrder))
        },
      ),
      runs(200),
    )
  })

  test('are at most so many, unless one second has more', () => {
    expect(divide([2, 2, 0, 5, 1, 1, 0], 4)).toEqual([
      { from: 0, to: 3 },
      { from: 3, to: 4 },
      { from: 4, to: 7 },
    ])
    expect(divide([0, 0], 4)).toEqual([])
  })
})

import { expect, test } from '@jest/globals'
import { provisionalNotes, todayNotes } from '../../../src/pulls/query/provisional.js'

const period = { from: '2026-10-31', to: '2026-11-28' }
const ALL =
  'All numbers are provisional: no time of this period is settled for every registry, and requests may arrive up to 300 s late.'
const ARRIVE = 'are provisional: requests of the last 300 s may still arrive.'

test.each([
  // On a new installation no number is settled, whatever the period.
  ['UTC', '2026-10-31T00:00:00.000000Z', ALL],
  ['Europe/Berlin', '2026-10-30T23:00:00.000000Z', ALL],
  ['UTC', '2026-10-31T00:00:01.000000Z', `Numbers since 2026-10-31T00:00:01.000000Z ${ARRIVE}`],
  ['UTC', '2026-11-20T10:00:00.000000Z', `Numbers since 2026-11-20T10:00:00.000000Z ${ARRIVE}`],
])('in %s, the note names the numbers that are provisional since %s', (timeZone, since, note) => {
  expect(provisionalNotes({ since }, { period, timeZone }, { lateness: 300_000_000 })).toEqual([note])
})

test('pulls that are not settled are counted', () => {
  const notes = provisionalNotes(
    { since: '2026-11-20T10:00:00.000000Z', pulls: 1200, invocations: 1300 },
    { period, timeZone: 'UTC' },
    {},
  )
  expect(notes).toEqual([
    'Numbers since 2026-11-20T10:00:00.000000Z are provisional.',
    'Unsettled pulls in this answer: 1,200.',
  ])
})

test.each([
  ['UTC', '2026-11-28T00:00:00Z', 1],
  ['UTC', '2026-11-29T00:00:00Z', 0],
  ['UTC', '2026-11-27T23:59:59Z', 0],
  ['Europe/Berlin', '2026-11-27T23:00:00Z', 1],
])('in %s at %s, today is missing from a period that ended yesterday: %i notes', (timeZone, at, count) => {
  expect(todayNotes({ period: { ...period, isDays: true }, timeZone, queriedAt: Date.parse(at) * 1000 })).toHaveLength(
    count,
  )
})

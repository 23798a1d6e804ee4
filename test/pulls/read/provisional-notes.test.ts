import { expect, test } from '@jest/globals'
import { provisionalNotes } from '../../../src/pulls/read/provisional.js'

const period = { from: '2026-10-31', to: '2026-11-28' }
const ARRIVE = 'are provisional: requests of the last 300 s may still arrive.'

test.each([
  // Of a new installation nothing is settled, whatever the period.
  ['UTC', '2026-10-31T00:00:00.000000Z', `All numbers ${ARRIVE}`],
  ['Europe/Berlin', '2026-10-30T23:00:00.000000Z', `All numbers ${ARRIVE}`],
  ['UTC', '2026-10-31T00:00:01.000000Z', `Numbers since 2026-10-31T00:00:01.000000Z ${ARRIVE}`],
  ['UTC', '2026-11-20T10:00:00.000000Z', `Numbers since 2026-11-20T10:00:00.000000Z ${ARRIVE}`],
])('in %s, what is provisional since %s is named', (timeZone, since, note) => {
  expect(provisionalNotes({ since }, { period, timeZone }, { lateness: 300_000_000 })).toEqual([note])
})

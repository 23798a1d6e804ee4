import { describe, expect, test } from '@jest/globals'
import { parsePullsQuery } from '../../../src/pulls/query/parameters.js'
import { notesOn } from '../../../src/pulls/query/notes.js'
import type { Rotation } from '../../../src/requesters/salts.js'

const NOW = new Date('2026-11-21T12:00:00Z')

describe('uniques of a period in which origins get new names', () => {
  test.each<[Rotation, string, string, boolean]>([
    ['monthly', '2026-10', 'UTC', false],
    ['monthly', '2026-10', 'Europe/Berlin', true],
    ['monthly', '2026-10', 'America/New_York', true],
    ['monthly', '2026-10-31', 'Europe/Berlin', false],
    ['monthly', '2026-11-01', 'Europe/Berlin', true],
    ['monthly', '2026-10-31', 'America/New_York', true],
    ['monthly', 'last-28-days', 'UTC', true],
    ['monthly', 'last-7-days', 'UTC', false],
    ['daily', '2026-10-31', 'UTC', false],
    ['daily', '2026-10-31', 'Asia/Tokyo', true],
    ['daily', '2026-10-31', 'America/New_York', true],
    ['never', '2026', 'Europe/Berlin', false],
  ])('%s, %s in %s: %s', (rotation, period, tz, hasNote) => {
    const query = parsePullsQuery({ measures: 'unique_origins', period, tz }, NOW)
    const notes = notesOn(query, { rotation, stamps: {} })
    expect(notes.some((note) => note.startsWith('Origins get new names'))).toBe(hasNote)
  })
})

import { expect, test } from '@jest/globals'
import { microsOf } from '../../src/events/calendar.js'
import { readEnvelope, readEnvelopeInTurns } from '../../src/sources/distribution/envelope.js'
import { fixedClock } from '../servers/clock.js'
import { notified } from '../servers/app.js'
import { turnsOf } from '../servers/turns.js'

const NOW = microsOf(fixedClock())
const bodyOf = (count: number): Buffer =>
  Buffer.from(JSON.stringify({ events: Array.from({ length: count }, () => notified()) }))

test.each([
  ['an envelope of few events is read in one turn', 999, 1],
  ['an envelope of many events is read in a turn for each 250', 10_001, 41],
])('%s', async (_, count, expected) => {
  const body = bodyOf(count)
  const { result, turns } = await turnsOf(() => readEnvelopeInTurns(body, NOW))
  expect(result).toEqual(readEnvelope(body, NOW))
  expect(turns).toBe(expected)
})

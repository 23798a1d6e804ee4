import { describe, expect, test } from '@jest/globals'
import { createServiceClock } from '../../src/runtime/service-clock.js'

const START = Date.parse('2026-11-18T10:00:00Z')
const HOUR = 3_600_000

describe('the clock of a service', () => {
  test('uses the time of the database if the database is more than a second ahead', () => {
    const { now, setBehind } = createServiceClock(() => new Date(START))
    for (const [behind, expected] of [
      [0, 0],
      [-HOUR, 0],
      [900, 0],
      [1_500, 1_500],
      [5 * HOUR, 5 * HOUR],
      [0, 0],
    ] as const) {
      setBehind(behind)
      expect(now().getTime() - START).toBe(expected)
    }
  })

  test('the latest time goes on if the clock is set back, and follows a clock that is set ahead', () => {
    let machine = START
    let elapsed = 1_000
    const { latest } = createServiceClock(
      () => new Date(machine),
      () => elapsed,
    )
    expect(latest().getTime()).toBe(START)
    machine -= 20 * HOUR
    elapsed += HOUR
    expect(latest().getTime()).toBe(START + HOUR)
    machine = START + 3 * HOUR
    elapsed += HOUR
    expect(latest().getTime()).toBe(START + 3 * HOUR)
  })

  test('the latest time is not before what was recorded last', () => {
    let elapsed = 1_000
    const { latest, setRecorded } = createServiceClock(
      () => new Date(START),
      () => elapsed,
    )
    setRecorded(new Date(START + HOUR))
    elapsed += HOUR
    expect(latest().getTime()).toBe(START + 2 * HOUR)
    setRecorded(new Date(START - HOUR))
    expect(latest().getTime()).toBe(START)
  })

  test('the latest time is at most a day ahead of the clock, whatever the clock showed and what was recorded', () => {
    let machine = START
    const { latest, setRecorded } = createServiceClock(
      () => new Date(machine),
      () => 1_000,
    )
    setRecorded(new Date(START + 10 * 365 * 24 * HOUR))
    expect(latest().getTime()).toBe(START + 24 * HOUR)
    setRecorded(new Date(START))
    expect(latest().getTime()).toBe(START)
    machine -= 48 * HOUR
    expect(latest().getTime()).toBe(machine + 24 * HOUR)
  })
})

import { describe, expect, test } from '@jest/globals'
import { createPace, type Timing } from '../../../src/inventory/reconcile/pace.js'
import { RegistryBusy, RegistryError } from '../../../src/registries/client/exchange.js'

/** A clock that moves by sleeping alone. */
const fakeTime = (): Timing & { slept: number[] } => {
  let time = 0
  const slept: number[] = []
  return {
    slept,
    now: () => time,
    random: () => 1,
    sleep: async (ms, signal) => {
      const until = time + ms
      await Promise.resolve()
      signal?.throwIfAborted()
      slept.push(ms)
      time = Math.max(time, until)
    },
  }
}

/** Refuses as often as there are pauses, then answers. */
const refusing = (...pauses: (number | undefined)[]): (() => Promise<string>) => {
  const left = [...pauses]
  return async () => {
    if (left.length > 0) throw new RegistryBusy('it answered 429', left.shift())
    return Promise.resolve('here')
  }
}

describe('a registry that asks to slow down', () => {
  test('is asked again after the pause that it asks for, and slower from then on', async () => {
    const timing = fakeTime()
    const pauses: number[] = []
    const pace = createPace({ rate: 10, atOnce: 1, timing, onPause: (ms) => pauses.push(ms) })
    expect(await pace.send(refusing(12_000))).toBe('here')
    expect(timing.now()).toBe(12_000)
    expect(pace.requestCount()).toBe(2)
    expect(pauses).toEqual([12_000, 7_000, 2_000, 0])
    await pace.send(refusing())
    // Five a second, and a little more after an answer.
    expect(timing.now()).toBeCloseTo(12_000 + 1_000 / 5, 0)
    for (let i = 0; i < 200; i++) await pace.send(refusing())
    const before = timing.now()
    await pace.send(refusing())
    expect(timing.now() - before).toBeCloseTo(100, 5)
  })

  test('that says no time gets twice as long after each refusal', async () => {
    const timing = fakeTime()
    const pace = createPace({ rate: 1_000, atOnce: 1, timing })
    await pace.send(refusing(undefined, undefined, undefined))
    expect(timing.now()).toBeGreaterThanOrEqual(7_000)
    expect(timing.now()).toBeLessThan(7_100)
  })

  test('refuses requests that were under way together: that is one pause', async () => {
    const timing = fakeTime()
    const pace = createPace({ rate: 1_000, atOnce: 4, timing })
    let begun = 0
    let allBegun = (): void => undefined
    const together = new Promise<void>((resolve) => (allBegun = resolve))
    const request = refusing(10_000, 10_000, 10_000, 10_000)
    const asking = Array.from({ length: 4 }, async () =>
      pace.send(async () => {
        if (++begun === 4) allBegun()
        await together
        return request()
      }),
    )
    await Promise.all(asking)
    expect(timing.now()).toBeLessThan(10_100)
    expect(pace.requestCount()).toBe(8)
  })

  test.each([
    ['a pause of an hour', [3_600_000]],
    ['refusals without end', Array.from({ length: 50 }, () => 0)],
    ['pauses of more than half an hour in all', Array.from({ length: 9 }, () => 290_000)],
  ])('is not waited for any longer: %s', async (_, pauses) => {
    const pace = createPace({ rate: 1_000, atOnce: 1, timing: fakeTime() })
    const asking = pace.send(refusing(...pauses))
    await expect(asking).rejects.toThrow(RegistryBusy)
    await expect(asking).rejects.toThrow('run it again: it continues where it stopped')
  })

  test.each([
    [3_600_000, 'wait 3600 s and run it again'],
    [251_606_463_193_000, 'wait more than a day and run it again'],
  ])('is not waited for %d ms, and the message has a time that somebody can wait', async (ms, message) => {
    const pace = createPace({ rate: 1_000, atOnce: 1, timing: fakeTime() })
    await expect(pace.send(refusing(ms))).rejects.toThrow(message)
  })

  test('is not waited for when the run is stopped', async () => {
    const stopping = new AbortController()
    const timing = fakeTime()
    const onPause = (): void => {
      stopping.abort(new Error('stopped'))
    }
    const pace = createPace({ rate: 1_000, atOnce: 1, timing, signal: stopping.signal, onPause })
    await expect(pace.send(refusing(60_000))).rejects.toThrow('stopped')
    expect(timing.slept).toEqual([])
  })

  test('is distinguished from one that fails: that is not retried', async () => {
    const pace = createPace({ rate: 1_000, atOnce: 1, timing: fakeTime() })
    const failing = pace.send(async () => Promise.reject(new RegistryError('it answered 403')))
    await expect(failing).rejects.toThrow('it answered 403')
    expect(pace.requestCount()).toBe(1)
  })
})

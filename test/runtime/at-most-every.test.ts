import { expect, test } from '@jest/globals'
import { atMostEvery } from '../../src/runtime/at-most-every.js'

/** Work that ends when the test says so. */
const open = () => {
  let at = 0
  const ends: (() => void)[] = []
  const work = async (): Promise<number> =>
    new Promise((resolve) => {
      const run = ends.push(() => {
        resolve(run)
      })
    })
  return { call: atMostEvery(1_000, work, () => at), ends, pass: (ms: number) => (at += ms) }
}

test('calls at once, and calls within the time, share one run', async () => {
  const { call, ends, pass } = open()
  const first = [call(), call()]
  ends[0]?.()
  pass(999)
  expect(await Promise.all([...first, call()])).toEqual([1, 1, 1])
  pass(1)
  const later = call()
  ends[1]?.()
  expect(await later).toBe(2)
})

test('calls share a run that takes longer than the time', async () => {
  const { call, ends, pass } = open()
  const first = call()
  pass(5_000)
  const second = call()
  ends[0]?.()
  expect(await Promise.all([first, second])).toEqual([1, 1])
})

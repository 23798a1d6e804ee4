import { expect, test } from '@jest/globals'
import { createNewestTime } from '../../../src/inventory/model/newest-time.js'
import { createLosses } from '../../../src/storage/sql/losses.js'

test('the newest time is read once a minute, and again after a lost connection', async () => {
  const losses = createLosses()
  let elapsed = 0
  let reads = 0
  const newest = createNewestTime(
    { transaction: async (work) => work(undefined as never), losses },
    async () => Promise.resolve(++reads),
    () => elapsed,
  )
  expect(newest.known()).toBeUndefined()
  expect(await Promise.all([newest.read(), newest.read()])).toEqual([1, 1])
  elapsed = 59_999
  expect(await newest.read()).toBe(1)
  elapsed = 60_000
  expect(newest.known()).toBe(1)
  expect(await newest.read()).toBe(2)
  losses.broke()
  expect(newest.known()).toBeUndefined()
  const reading = newest.read()
  losses.broke()
  expect(await reading).toBe(3)
  expect(newest.known()).toBeUndefined()
  expect(await newest.read()).toBe(4)
  expect(newest.known()).toBe(4)
})

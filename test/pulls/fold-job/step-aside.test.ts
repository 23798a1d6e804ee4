import { expect, test } from '@jest/globals'
import { stepAside } from '../../../src/pulls/fold-job/step-aside.js'

test.each([
  ['an idle process leaves out no run', [0.1, 0.79, 0], [true, true, true]],
  ['a busy process leaves out two of three runs', [0.9, 0.9, 0.9, 1, 1, 1], [false, false, true, false, false, true]],
  ['a process that is idle again runs at once', [0.9, 0.2, 0.9, 0.9, 0.9], [false, true, false, false, true]],
])('%s', async (_, utilizations, expected) => {
  const shares = utilizations.values()
  let runs = 0
  const job = stepAside(
    async () => {
      runs++
      return Promise.resolve()
    },
    () => shares.next().value ?? 0,
  )
  const ran: boolean[] = []
  while (ran.length < expected.length) {
    const before = runs
    await job()
    ran.push(runs > before)
  }
  expect(ran).toEqual(expected)
})

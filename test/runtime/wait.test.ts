import { expect, test } from '@jest/globals'
import { isOver, msLeft, NO_WAIT, waitOf } from '../../src/runtime/wait.js'

const at = (time: string): Date => new Date(`2026-11-21T${time}Z`)

test('a wait is over at its end', () => {
  const wait = waitOf(10_000, at('12:00:00'))
  expect([msLeft(wait, at('12:00:00')), msLeft(wait, at('12:00:09'))]).toEqual([10_000, 1_000])
  expect(['12:00:00', '12:00:09', '12:00:10', '13:00:00'].map((time) => isOver(wait, at(time)))).toEqual([
    ...[false, false, true, true],
  ])
  expect(isOver(NO_WAIT, at('12:00:00'))).toBe(true)
})

test('a wait that began while the clock was ahead is over', () => {
  const wait = waitOf(10_000, at('14:00:00'))
  expect([msLeft(wait, at('12:00:00')), isOver(wait, at('12:00:00'))]).toEqual([0, true])
})

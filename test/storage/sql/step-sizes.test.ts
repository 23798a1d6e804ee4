import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createStepSizes, doStep, partOf } from '../../../src/storage/sql/step-sizes.js'
import { runs } from '../../servers/runs.js'
import { StatementEnded } from '../../servers/seen-statements.js'

describe('a step that is ended', () => {
  const kind = 'one'

  test('is repeated with less, until it succeeds; of a hundred steps few are ended', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 100_000 }),
        fc.integer({ min: 1, max: 100_000 }),
        async (size, most) => {
          const sizes = createStepSizes()
          let ended = 0
          for (let i = 0; i < 100; i++) {
            const done = await doStep(sizes, { kind, size }, async (divisor) => {
              const part = partOf(size, divisor)
              if (part <= most) return Promise.resolve(part)
              ended++
              throw new StatementEnded()
            })
            expect(done).toBeLessThanOrEqual(most)
            expect(done).toBeGreaterThanOrEqual(Math.min(1, size))
          }
          expect(ended).toBeLessThanOrEqual(12)
        },
      ),
      runs(50),
    )
  })

  test('is given up when it is as small as it may be, and begins as small the next time', async () => {
    const sizes = createStepSizes()
    const parts: number[] = []
    const step = async (divisor: number): Promise<void> => {
      parts.push(partOf(100, divisor))
      return Promise.reject(new StatementEnded())
    }
    for (let run = 0; run < 2; run++)
      await expect(doStep(sizes, { kind, size: 100 }, step)).rejects.toThrow(StatementEnded)
    expect(parts).toEqual([100, 12, 1, 1])
  })

  test('does not make steps of another kind smaller, nor does another error', async () => {
    const sizes = createStepSizes()
    const failed = doStep(sizes, { kind, size: 100 }, async () => Promise.reject(new Error('another')))
    await expect(failed).rejects.toThrow('another')
    let isFirst = true
    await doStep(sizes, { kind, size: 100 }, async () => {
      if (!isFirst) return Promise.resolve()
      isFirst = false
      throw new StatementEnded()
    })
    const divisorOf = async (other: string): Promise<number> =>
      doStep(sizes, { kind: other, size: 100 }, async (divisor) => Promise.resolve(divisor))
    expect([await divisorOf(kind), await divisorOf('another')]).toEqual([8, 1])
  })

  test('is as large as before after some successes, and then nothing is remembered', async () => {
    const sizes = createStepSizes()
    const divisors: number[] = []
    let isFirst = true
    for (let i = 0; i < 9; i++)
      await doStep(sizes, { kind, size: 10 }, async (divisor) => {
        if (isFirst) {
          isFirst = false
          throw new StatementEnded()
        }
        divisors.push(divisor)
        return Promise.resolve()
      })
    expect(divisors).toEqual([...Array<number>(8).fill(8), 1])
    expect(sizes.size).toBe(0)
  })
})

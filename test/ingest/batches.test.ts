import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createBatches, Overloaded, type Batches } from '../../src/ingest/batches.js'
import type { Submitter } from '../../src/ingest/turns-of-submitters.js'
import { runs } from '../servers/runs.js'
import { StatementEnded } from '../servers/seen-statements.js'

const of = (holder: string, registry = ''): Submitter => ({ holder, registry })

/** Batches whose writing a test ends when it wants. */
const controlled = (
  settings: { largestBatch?: number; longestQueue?: number; weightOf?: (item: number) => number } = {},
) => {
  const written: number[][] = []
  const underWay: { finish: () => void; fail: (error: Error) => void }[] = []
  const batches: Batches<number, string> = createBatches({
    write: async (items) => {
      written.push(items)
      await new Promise<void>((finish, fail) => {
        underWay.push({ finish, fail })
      })
      return items.map((item) => `wrote ${item}`)
    },
    ...(settings.weightOf && { weightOf: settings.weightOf }),
    largestBatch: settings.largestBatch ?? 100,
    longestQueue: settings.longestQueue ?? 1_000,
  })
  /** Longer than the batches wait for what may still arrive. */
  const turn = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
  }
  return { batches, written, underWay, turn }
}

describe('batches', () => {
  test('alone, an arrival is written at once; what comes meanwhile is the next batch', async () => {
    const { batches, written, underWay, turn } = controlled()
    const first = batches.submit([1])
    const others = [batches.submit([2]), batches.submit([3, 4])]
    expect(written).toEqual([[1]])
    underWay[0]?.finish()
    expect(await first).toEqual(['wrote 1'])
    await turn()
    expect(written).toEqual([[1], [2, 3, 4]])
    underWay[1]?.finish()
    expect(await Promise.all(others)).toEqual([['wrote 2'], ['wrote 3', 'wrote 4']])
  })

  test('a batch is bounded, and a larger arrival is written in parts and answered whole', async () => {
    const { batches, written, underWay, turn } = controlled({ largestBatch: 3 })
    const answers = [batches.submit([1, 2]), batches.submit([3, 4, 5, 6, 7, 8, 9]), batches.submit([10])]
    for (let i = 0; i < 6; i++) {
      underWay[i]?.finish()
      await turn()
    }
    expect(written).toEqual([[1, 2], [3, 4, 5], [10], [6, 7, 8], [9]])
    expect((await Promise.all(answers)).flat()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((n) => `wrote ${n}`))
  })

  test('small arrivals pass the parts of a large one, and are taken while it fills the queue', async () => {
    const { batches, written, underWay, turn } = controlled({ largestBatch: 3, longestQueue: 12 })
    const large = batches.submit([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    await expect(batches.submit([20, 21, 22, 23])).rejects.toThrow(Overloaded)
    const small = [batches.submit([30]), batches.submit([31])]
    for (let i = 0; i < 5; i++) {
      underWay[i]?.finish()
      await turn()
    }
    expect(written).toEqual([
      [1, 2, 3],
      [30, 31],
      [4, 5, 6],
      [7, 8, 9],
      [10, 11, 12],
    ])
    expect(await Promise.all(small)).toEqual([['wrote 30'], ['wrote 31']])
    expect(await large).toHaveLength(12)
    const again = batches.submit([40, 41, 42, 43])
    underWay[5]?.finish()
    await turn()
    underWay[6]?.finish()
    expect(await again).toHaveLength(4)
  })

  test('a large arrival that fails leaves room in the queue', async () => {
    const { batches, underWay, turn } = controlled({ largestBatch: 1, longestQueue: 4 })
    const large = batches.submit([1, 2, 3, 4]).catch(() => 'failed')
    underWay[0]?.fail(new Error('the store is away'))
    expect(await large).toBe('failed')
    await turn()
    const next = batches.submit([5, 6])
    for (const i of [1, 2]) {
      underWay[i]?.finish()
      await turn()
    }
    expect(await next).toEqual(['wrote 5', 'wrote 6'])
  })

  test('an item that is much work is a batch alone, and takes no other along', async () => {
    const { batches, written, underWay, turn } = controlled({ largestBatch: 9, longestQueue: 40, weightOf: (n) => n })
    const answers = [[1], [2, 3], [6], [50, 4, 5]].map(async (items) => batches.submit(items))
    await expect(batches.submit([1])).rejects.toThrow(Overloaded)
    for (let i = 0; i < 5; i++) {
      underWay[i]?.finish()
      await turn()
    }
    expect(written).toEqual([[1], [2, 3], [6], [50], [4, 5]])
    expect((await Promise.all(answers)).flat()).toHaveLength(7)
  })

  test('senders take turns: who sends much keeps nobody else waiting', async () => {
    const { batches, written, underWay, turn } = controlled({ largestBatch: 4, longestQueue: 100 })
    const answers = [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10], [11]].map(async (items) =>
      batches.submit(items, of('much')),
    )
    answers.push(
      batches.submit([20], of('little')),
      batches.submit([30, 31], of('some')),
      batches.submit([21], of('little')),
    )
    for (let i = 0; i < 6; i++) {
      underWay[i]?.finish()
      await turn()
    }
    expect(written).toEqual([[1, 2, 3], [20, 21, 30, 31], [4, 5, 6], [7, 8, 9, 10], [11]])
    expect((await Promise.all(answers)).flat()).toHaveLength(15)
  })

  test('one registry may fill half of the queue, and the other half is for others', async () => {
    const { batches, underWay, turn } = controlled({ largestBatch: 2, longestQueue: 4 })
    const taken = [1, 2, 3].map(async (item) => batches.submit([item], of('much')))
    await expect(batches.submit([4], of('much'))).rejects.toThrow(Overloaded)
    const others = [5, 6].map(async (item) => batches.submit([item], of(`another ${item}`)))
    await expect(batches.submit([7], of('one more'))).rejects.toThrow(Overloaded)
    for (let i = 0; i < 4; i++) {
      underWay[i]?.finish()
      await turn()
    }
    expect((await Promise.all([...taken, ...others])).flat()).toHaveLength(5)
  })

  test('a holder that names many registries may fill three quarters of the queue, and delays nobody longer', async () => {
    const { batches, written, underWay, turn } = controlled({ largestBatch: 2, longestQueue: 16 })
    const taken = Array.from({ length: 7 }, async (_, i) => batches.submit([i, i], of('many', `registry ${i}`)))
    await expect(batches.submit([7], of('many', 'one more'))).rejects.toThrow(Overloaded)
    const others: Promise<string[]>[] = []
    for (let i = 0; i < 13; i++) {
      if (i % 2 === 0 && i < 12) others.push(batches.submit([20 + i / 2], of('another')))
      underWay[i]?.finish()
      await turn()
    }
    expect((await Promise.all([...taken, ...others])).flat()).toHaveLength(20)
    // One batch of each in turn, although the registries of the one have waited for longer.
    expect(written).toEqual([
      [0, 0],
      [20],
      [1, 1],
      [21],
      [2, 2],
      [22],
      [3, 3],
      [23],
      [4, 4],
      [24],
      [5, 5],
      [25],
      [6, 6],
    ])
  })

  test.each([
    ['however many registries a holder names, another holder', 9, of('another')],
    ['however much a registry of a holder sends, another one of it', 1, of('many', 'another')],
  ])('%s waits for two batches at most', async (_, registries, another) => {
    const arrival = fc.record({
      size: fc.integer({ min: 1, max: 12 }),
      registry: fc.integer({ min: 1, max: registries }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(arrival), fc.integer({ min: 1, max: 8 }), async (plan, largestBatch) => {
        const written: number[][] = []
        const batches = createBatches<number, number>({
          write: async (items) => {
            written.push(items)
            await new Promise((resolve) => setImmediate(resolve))
            return items
          },
          largestBatch,
          longestQueue: 1_000,
        })
        const answers = plan.map(async ({ size, registry }) =>
          batches.submit(
            Array.from({ length: size }, () => 0),
            of('many', String(registry)),
          ),
        )
        answers.push(batches.submit([1], another))
        await Promise.all(answers)
        expect(written.findIndex((batch) => batch.includes(1))).toBeLessThanOrEqual(2)
        expect(written.flat()).toHaveLength(plan.reduce((sum, { size }) => sum + size, 1))
      }),
      runs(200),
    )
  })

  test.each([5, 6, 7, 9])(
    '%i holders, and as many registries of one, get equal parts while all have much',
    async (count) => {
      for (const sender of [(i: number) => of(String(i)), (i: number) => of('one', String(i))]) {
        const got = new Map<number, number>()
        const batches = createBatches<number, number>({
          write: async (items) => {
            for (const item of items) got.set(item, (got.get(item) ?? 0) + 1)
            await new Promise((resolve) => setImmediate(resolve))
            return items
          },
          largestBatch: 100,
          longestQueue: 1_000_000,
        })
        let isOver = false
        const keepFull = async (i: number): Promise<void> => {
          while (!isOver) await batches.submit([i, i, i], sender(i))
        }
        const senders = Array.from({ length: count }, (_, i) =>
          Array.from({ length: 50 }, async () => keepFull(i)),
        ).flat()
        for (let turn = 0; turn < 400; turn++) await new Promise((resolve) => setImmediate(resolve))
        isOver = true
        const parts = [...got.values()]
        await Promise.all(senders)
        expect(parts).toHaveLength(count)
        expect(Math.max(...parts) / Math.min(...parts)).toBeLessThan(1.1)
      }
    },
  )

  test('beyond the queue arrivals are refused, and taken again when it is shorter', async () => {
    const { batches, underWay, turn } = controlled({ longestQueue: 4 })
    const taken = [batches.submit([1]), batches.submit([2]), batches.submit([3])]
    await expect(batches.submit([4])).rejects.toThrow(Overloaded)
    underWay[0]?.finish()
    await turn()
    const again = batches.submit([5])
    underWay[1]?.finish()
    await turn()
    underWay[2]?.finish()
    expect((await Promise.all([...taken, again])).flat()).toHaveLength(4)
  })

  test('a failure is told to all of the batch and to all who wait behind it; the next arrival is tried anew', async () => {
    const { batches, underWay, turn } = controlled()
    const failed = [batches.submit([1]), batches.submit([2]), batches.submit([3])].map(async (one) =>
      one.catch(() => 'failed'),
    )
    underWay[0]?.fail(new Error('the store is away'))
    expect(await Promise.all(failed)).toEqual(['failed', 'failed', 'failed'])
    const next = batches.submit([4])
    await turn()
    underWay[1]?.finish()
    expect(await next).toEqual(['wrote 4'])
  })

  test('a batch that took too long fails alone: who waits behind it may be quick', async () => {
    const { batches, underWay, turn } = controlled()
    const slow = batches.submit([1]).catch(() => 'failed')
    const behind = batches.submit([2])
    underWay[0]?.fail(new StatementEnded())
    expect(await slow).toBe('failed')
    await turn()
    underWay[1]?.finish()
    expect(await behind).toEqual(['wrote 2'])
  })

  test('after a failure nothing is written of who was to be the first the next time', async () => {
    const { batches, written, underWay, turn } = controlled({ largestBatch: 4 })
    const first = batches.submit([1])
    const failed = [batches.submit([2, 3, 4, 5], of('passed over')), batches.submit([6, 7, 8], of('served'))].map(
      async (one) => one.catch(() => 'failed'),
    )
    underWay[0]?.finish()
    await first
    await turn()
    underWay[1]?.fail(new Error('the store is away'))
    expect(await Promise.all(failed)).toEqual(['failed', 'failed'])
    const next = batches.submit([9])
    await turn()
    expect(written).toEqual([[1], [6, 7, 8], [9]])
    underWay[2]?.finish()
    expect(await next).toEqual(['wrote 9'])
  })

  test('who was passed over is the first the next time, one sender after the other, however much others send', async () => {
    const { batches, written, underWay, turn } = controlled({ largestBatch: 4 })
    const answers = [
      batches.submit([1]),
      batches.submit([2, 3, 4, 5], of('large')),
      batches.submit([6, 7, 8, 9], of('as large')),
    ]
    for (let i = 0; i < 4; i++) {
      answers.push(batches.submit([10 * i + 10, 10 * i + 11, 10 * i + 12], of('small')))
      underWay[i]?.finish()
      await turn()
    }
    expect(written.slice(0, 4)).toEqual([[1], [10, 11, 12], [2, 3, 4, 5], [6, 7, 8, 9]])
    for (let i = 4; i < 7; i++) {
      underWay[i]?.finish()
      await turn()
    }
    expect((await Promise.all(answers)).flat()).toHaveLength(21)
  })

  test('idle waits for all that was taken', async () => {
    const { batches, underWay, turn } = controlled()
    await batches.idle()
    let idle = false
    const answers = [batches.submit([1]), batches.submit([2])]
    const waiting = batches.idle().then(() => (idle = true))
    underWay[0]?.finish()
    await turn()
    expect(idle).toBe(false)
    underWay[1]?.finish()
    await waiting
    expect((await Promise.all(answers)).flat()).toHaveLength(2)
  })

  test('whatever arrives whenever: everyone gets the answers to their own items, in order, once', async () => {
    const names = { holder: fc.constantFrom('a', 'b'), registry: fc.constantFrom('x', 'y', 'z') }
    const arrivals = fc.array(fc.record({ size: fc.integer({ min: 0, max: 30 }), wait: fc.boolean(), ...names }), {
      maxLength: 40,
    })
    await fc.assert(
      fc.asyncProperty(arrivals, fc.integer({ min: 1, max: 20 }), async (plan, largestBatch) => {
        const seen: number[] = []
        const batches = createBatches<number, number>({
          write: async (items) => {
            expect(items.length).toBeLessThanOrEqual(largestBatch)
            seen.push(...items)
            await new Promise((resolve) => setImmediate(resolve))
            return items.map((item) => item * 2)
          },
          largestBatch,
          longestQueue: 20_000,
        })
        let next = 0
        const answers = []
        const firsts = new Map<string, number[]>()
        for (const { size, wait, holder, registry } of plan) {
          const items = Array.from({ length: size }, () => next++)
          const own = firsts.get(holder + registry) ?? []
          firsts.set(holder + registry, [...own, ...items.slice(0, 1)])
          answers.push(batches.submit(items, of(holder, registry)).then((given) => ({ items, given })))
          if (wait) await new Promise((resolve) => setImmediate(resolve))
        }
        for (const { items, given } of await Promise.all(answers)) expect(given).toEqual(items.map((item) => item * 2))
        for (const own of firsts.values()) expect(seen.filter((item) => own.includes(item))).toEqual(own)
        expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: next }, (_, i) => i))
      }),
      runs(200),
    )
  })
})

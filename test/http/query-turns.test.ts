import { describe, expect, test } from '@jest/globals'
import { createQueryTurns } from '../../src/http/query-turns.js'

const STAYS = new AbortController().signal
const turns = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('turns of questions', () => {
  test('are taken in order of arrival, so many at once', async () => {
    const { take } = createQueryTurns({ atOnce: 2 })
    const begun: number[] = []
    const ends: (() => void)[] = []
    const all = [0, 1, 2, 3].map(async (n) => {
      ends[n] = await take(STAYS)
      begun.push(n)
    })
    await turns()
    expect(begun).toEqual([0, 1])
    ends[1]?.()
    ends[1]?.()
    await turns()
    expect(begun).toEqual([0, 1, 2])
    ends[0]?.()
    await Promise.all(all)
    expect(begun).toEqual([0, 1, 2, 3])
  })

  test('that too many wait for are refused', async () => {
    const { take } = createQueryTurns({ atOnce: 1, mostQueued: 2 })
    const end = await take(STAYS)
    const waiting = [take(STAYS), take(STAYS)]
    await expect(take(STAYS)).rejects.toMatchObject({
      problem: { status: 503 },
      message: expect.stringContaining('2 queries are already queued'),
    })
    end()
    const endSecond = await waiting[0]
    endSecond?.()
    await waiting[1]
  })

  test('are not taken by a request whose client has disconnected', async () => {
    const { take } = createQueryTurns({ atOnce: 1, mostQueued: 1 })
    const end = await take(STAYS)
    const gone = new AbortController()
    const left = take(gone.signal)
    gone.abort(new Error('went away'))
    await expect(left).rejects.toThrow('went away')
    await expect(take(gone.signal)).rejects.toThrow('went away')
    const next = take(STAYS)
    end()
    await next
  })

  test('are waited for only so long', async () => {
    const { take } = createQueryTurns({ atOnce: 1, longestWaitMs: 20 })
    const end = await take(STAYS)
    await expect(take(STAYS)).rejects.toMatchObject({ problem: { status: 503 } })
    end()
    await take(STAYS)
  })
})

import { expect, test } from '@jest/globals'
import { createAnswerCache } from '../../src/http/answer-cache.js'

const open = (): {
  cache: ReturnType<typeof createAnswerCache<string>>
  computed: string[]
  get: (key: string) => Promise<{ value: string; seconds: number }>
  pass: (seconds: number) => void
} => {
  let at = Date.parse('2026-11-21T12:00:00Z')
  const cache = createAnswerCache<string>({ seconds: 300, now: () => new Date(at) })
  const computed: string[] = []
  const get = async (key: string): Promise<{ value: string; seconds: number }> =>
    cache.get(key, async () => {
      computed.push(key)
      return Promise.resolve(`${key}${computed.length}`)
    })
  return { cache, computed, get, pass: (seconds) => (at += seconds * 1_000) }
}

test('an answer is computed once in its time, and says how long it stays', async () => {
  const { computed, get, pass } = open()
  expect(await Promise.all([get('a'), get('a')])).toEqual([
    { value: 'a1', seconds: 300 },
    { value: 'a1', seconds: 300 },
  ])
  pass(299)
  expect(await get('a')).toEqual({ value: 'a1', seconds: 1 })
  pass(1)
  expect(await get('a')).toEqual({ value: 'a2', seconds: 300 })
  expect(computed).toEqual(['a', 'a'])
})

test('a clock that is set back keeps no answer for longer', async () => {
  const { get, pass } = open()
  await get('a')
  pass(-86_400)
  expect(await get('a')).toEqual({ value: 'a2', seconds: 300 })
})

test('one at once is computed; of those that wait too many are refused', async () => {
  const { cache } = open()
  let running = 0
  let most = 0
  const answers = await Promise.allSettled(
    Array.from({ length: 80 }, async (_, n) =>
      cache.get(String(n), async () => {
        most = Math.max(most, ++running)
        await new Promise((resolve) => setImmediate(resolve))
        running--
        return 'x'
      }),
    ),
  )
  expect(most).toBe(1)
  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(50)
  expect(answers.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { status: 503 } })
})

test('a failure is not kept, and harms no other', async () => {
  const { cache, get } = open()
  await expect(cache.get('a', async () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await get('a')).toMatchObject({ value: 'a1' })
})

test('the number of answers is bounded', async () => {
  const { computed, get } = open()
  for (let n = 0; n < 1_001; n++) await get(String(n))
  await get('0')
  expect(computed.filter((key) => key === '0')).toHaveLength(2)
})

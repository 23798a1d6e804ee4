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

test('after an answer that took long no other is computed for nine times as long, and kept ones go on', async () => {
  const { cache, computed, get, pass } = open()
  const slow = async (): Promise<string> => {
    pass(2)
    return Promise.reject(new Error('took too long'))
  }
  await get('kept')
  await expect(cache.get('slow', slow)).rejects.toThrow('took too long')
  for (const key of ['slow', 'other']) await expect(get(key)).rejects.toThrow(/^503 .*try again in a minute/)
  expect(await get('kept')).toMatchObject({ value: 'kept1' })
  pass(17)
  await expect(get('other')).rejects.toThrow(/^503 /)
  pass(1)
  expect(await get('other')).toMatchObject({ value: 'other2' })
  expect(computed).toEqual(['kept', 'other'])
})

test('a clock that is set back pauses nothing', async () => {
  const { cache, get, pass } = open()
  await cache.get('slow', async () => {
    pass(5)
    return Promise.resolve('slow')
  })
  pass(-86_400)
  expect(await get('other')).toMatchObject({ value: 'other1' })
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
  expect(answers.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { problem: { status: 503 } } })
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

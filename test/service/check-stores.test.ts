import { expect, test } from '@jest/globals'
import { createStoreCheck } from '../../src/service/check-stores.js'

test('checks of the stores at once, and within a second, share one query to each', async () => {
  let at = 0
  let queries = 0
  const version = async (): Promise<string> => {
    queries++
    return at < 2_000 ? Promise.resolve('16') : Promise.reject(new Error('away'))
  }
  const stores = { database: { engine: 'postgresql', version }, sketches: { name: 'sql', version } }
  const check = createStoreCheck(stores as never, () => at)
  await Promise.all([check(), check()])
  at = 999
  expect(await check()).toEqual({ postgresql: { ok: true, version: '16' } })
  expect(queries).toBe(2)
  at = 2_000
  expect(await check()).toEqual({ postgresql: { ok: false, error: 'does not answer' } })
  expect(queries).toBe(4)
})

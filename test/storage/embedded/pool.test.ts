import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import type { PGlite } from '@electric-sql/pglite'
import { expect, test } from '@jest/globals'
import { createEmbeddedPool } from '../../../src/storage/embedded/pool.js'

const READY = { name: 'readyForQuery', status: 'I' }
const QUERY = 'Q'.charCodeAt(0)

test('a connection of which several messages fail ends, and no error of it is thrown', async () => {
  let isFailed = false
  let failures = 0
  const embedded = {
    waitReady: Promise.resolve(),
    execProtocolStream: async (message: Uint8Array) => {
      await setImmediate()
      if (isFailed) throw new Error(`the database failed ${++failures} times`)
      return message[0] === QUERY ? [READY] : []
    },
  }
  const pool = createEmbeddedPool(embedded as unknown as PGlite)
  await pool.query('select 1')
  isFailed = true
  const removed = once(pool, 'remove')
  await expect(pool.query('select $1', ['x'])).rejects.toThrow('the database failed 1 times')
  // Comes after all messages, and never if one of their errors was thrown.
  await removed
  expect(failures).toBeGreaterThan(1)
  await pool.end()
})

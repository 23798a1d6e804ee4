import { cpSync, existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import { notified, openApp, type TestApp } from '../servers/app.js'
import { eventually } from '../servers/process.js'
import { API_TOKEN } from '../servers/service.js'
import { createSmallDisk, whyNoSmallDisk } from '../servers/small-disk.js'

const ENDLESS = 'select count(*) from generate_series(1, 1000000) a, generate_series(1, 1000000) b'

let app: TestApp
const open = async (environment: Record<string, string> = {}): Promise<void> => {
  app = await openApp({ TALLYMAN_SQL_ROUTE: 'true', ...environment })
}
const post = async (body: unknown): Promise<{ status: number; message?: string }> => {
  const response = await app.post('/inventory/sql', body)
  return { status: response.status, ...((await response.json()) as object) }
}

describe('POST /inventory/sql', () => {
  afterEach(async () => app.close())

  test('ends the statement of a client that closed the connection', async () => {
    await open()
    const client = new AbortController()
    const gone = fetch(`${app.url}/inventory/sql`, {
      method: 'POST',
      headers: { authorization: `Bearer ${API_TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ statement: ENDLESS, seconds: 240 }),
      signal: client.signal,
    })
    await eventually('the copy', async () => Promise.resolve(existsSync(join(app.folder, 'sql'))))
    client.abort()
    await expect(gone).rejects.toThrow(/abort/)
    await eventually('the next statement', async () => (await post({ statement: 'select 1' })).status === 200)
  })

  test('answers 503 if the database cannot be copied, and logs a warning', async () => {
    await open()
    writeFileSync(join(app.folder, 'sql'), '')
    expect(await post({ statement: 'select 1' })).toEqual({
      status: 503,
      message: expect.stringMatching(/^503 Service Unavailable: the database cannot be copied: .*EEXIST/),
    })
    const [line] = app.log().filter((one) => one.includes('a request failed'))
    expect(JSON.parse(line ?? '{}')).toMatchObject({
      level: 'warn',
      reason: expect.stringContaining('cannot be copied'),
    })
  })
})

test('a service that stops ends the statement that runs, and removes its copy', async () => {
  await open()
  const ended = post({ statement: ENDLESS, seconds: 240 })
  await eventually('the copy', async () => Promise.resolve(existsSync(join(app.folder, 'sql'))))
  await app.app.close()
  expect(existsSync(join(app.folder, 'sql'))).toBe(false)
  expect(await ended).toEqual({ status: 503, message: expect.stringContaining('the service stops') })
  app.app.http.close()
  rmSync(app.folder, { recursive: true })
})

const reason = whyNoSmallDisk()
const onSmallDisk = reason === undefined ? test : test.skip

onSmallDisk('a statement that fills the disk is answered 503, and leaves space for the service', async () => {
  const disk = createSmallDisk(600)
  const data = join(disk.path, 'data')
  mkdirSync(data, { mode: 0o700 })
  cpSync(join(process.env.TALLYMAN_TEST_TEMPLATES ?? '', 'migrated'), data, { recursive: true })
  await open({ TALLYMAN_DATA_DIR: data })
  disk.leave(250)
  let least = Infinity
  const watch = setInterval(() => {
    const { bavail, bsize } = statfsSync(disk.path)
    least = Math.min(least, bavail * bsize)
  }, 20)
  const filling = post({ statement: 'select count(*) from generate_series(1, 100000000)', seconds: 240 })
  expect(await filling).toEqual({ status: 503, message: expect.stringMatching(/temp_file_limit|disk/) })
  clearInterval(watch)
  expect(least).toBeGreaterThan(32 * 2 ** 20)
  expect((await app.notify({ events: [notified()] })).status).toBe(200)
  // The statement of a command that opens the database itself has the same limit.
  const { rows } = await app.app.core.stores.database.readOnly('show temp_file_limit', { rows: 1, seconds: 30 })
  expect(rows).not.toEqual([['2GB']])
  await app.close()
  disk.remove()
})

import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { openApp, type TestApp } from '../servers/app.js'
import { NOW } from '../servers/clock.js'

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(async () => app.close())

const file = `tallyman-${NOW.toISOString().slice(0, 10)}.tar.gz`
const dumps = (): string => join(app.app.core.config.data_dir, 'dumps')

test('POST /dump writes a dump of the embedded database, once for a day', async () => {
  for (let i = 0; i < 2; i++) {
    const response = await app.post('/dump')
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ lastAt: expect.stringMatching(/^\d{4}-.*Z$/) })
  }
  expect(readdirSync(dumps())).toEqual([file])
})

test('a dump that cannot be written is answered with the reason, and shown by the status', async () => {
  rmSync(join(dumps(), file))
  mkdirSync(join(dumps(), file, 'obstacle'), { recursive: true })
  const response = await app.post('/dump')
  expect(response.status).toBe(503)
  expect(await response.json()).toEqual({
    message: expect.stringMatching(/^503 Service Unavailable: the dump could not be written: /),
  })
  const status = (await (await app.get('/status')).json()) as { dumps: { failedAt: string | null } }
  expect(status.dumps.failedAt).not.toBeNull()
})

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { notified, openApp, type TestApp } from '../servers/app.js'

describe('a service whose embedded database has failed', () => {
  let service: TestApp
  beforeAll(async () => {
    service = await openApp()
    rmSync(join(service.app.core.config.data_dir, 'db', 'pg_wal'), { recursive: true })
    await expect(sql`select pg_switch_wal()`.execute(service.app.core.stores.database.sql)).rejects.toThrow()
  })
  afterAll(async () => service.close())

  test('answers 503 to notifications and probes, and says so to who asks for its health', async () => {
    expect((await service.notify({ events: [notified()] })).status).toBe(503)
    expect((await service.get('/status')).status).toBe(503)
    expect((await service.get('/readyz')).status).toBe(503)
    const health = await service.get('/healthz')
    expect([health.status, await health.json()]).toEqual([503, { status: 'failed' }])
  })
})

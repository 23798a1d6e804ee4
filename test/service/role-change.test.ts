import { setTimeout } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import pg from 'pg'
import { notified, openApp, type TestApp } from '../servers/app.js'
import { startPostgres } from '../servers/postgres.js'
import { eventually } from '../servers/process.js'
import { startRedis } from '../servers/redis.js'
import { openServers } from '../servers/stores.js'
import { startTcpProxy } from '../servers/tcp-proxy.js'

const MOST_EVENTS = 40
const FIVE_STORED = '200,200,200,200,200'
let users = 0

/** Sends an event each 200 ms, so that no connection is idle for long. @returns the statuses, until five in a row are 200 */
const statusesUntilStored = async (app: TestApp): Promise<number[]> => {
  const statuses: number[] = []
  while (statuses.length < MOST_EVENTS && statuses.slice(-5).join() !== FIVE_STORED) {
    const event = notified({ actor: { name: `user${users++}`, user_type: 'build' } })
    statuses.push((await app.notify({ events: [event] })).status)
    await setTimeout(200)
  }
  return statuses
}

const kindsOf = (statuses: readonly number[]): number[] => [...new Set(statuses)]

test('a Redis behind a proxy that swaps its master with a replica: 503, and on by itself', async () => {
  const settings = ['--appendonly', 'no', '--repl-diskless-sync-delay', '0']
  const first = await startRedis(settings)
  const second = await startRedis([...settings, '--replicaof', `127.0.0.1 ${first.port}`])
  const proxy = await startTcpProxy(first.port)
  const [from, to] = [new Redis(first.url), new Redis(second.url)]
  const servers = await openServers()
  const app = await openApp({ ...servers.environment, REDIS_URL: `redis://127.0.0.1:${proxy.port}` })
  try {
    expect(kindsOf(await statusesUntilStored(app))).toEqual([200])
    await eventually('the replica follows', async () => (await to.role())[3] === 'connected')
    await to.replicaof('NO', 'ONE')
    await from.replicaof('127.0.0.1', second.port)
    proxy.redirect(second.port)
    const statuses = await statusesUntilStored(app)
    expect(kindsOf(statuses)).toEqual([503, 200])
    expect(statuses.length).toBeLessThan(10)
  } finally {
    await app.close()
    for (const client of [from, to]) client.disconnect()
    await proxy.stop()
    await Promise.all([first.stop(), second.stop(), servers.close()])
  }
})

test('a PostgreSQL address that led to a standby for a while: 503, nothing set aside, and on by itself', async () => {
  const postgres = await startPostgres()
  const admin = new pg.Client({ connectionString: postgres.url.replace(/[^/]*$/, 'postgres') })
  await admin.connect()
  const servers = await openServers()
  const app = await openApp({ ...servers.environment, DATABASE_URL: postgres.url })
  try {
    expect(kindsOf(await statusesUntilStored(app))).toEqual([200])
    await admin.query('alter database tallyman set default_transaction_read_only = on')
    await admin.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = 'tallyman'`)
    await eventually('writes are refused', async () => (await app.notify({ events: [notified()] })).status === 503)
    const answer = await app.notify({ events: [notified()] })
    expect(answer.status).toBe(503)
    await admin.query('alter database tallyman reset default_transaction_read_only')
    const statuses = await statusesUntilStored(app)
    expect(kindsOf(statuses.slice(-5))).toEqual([200])
    expect(statuses.length).toBeLessThan(10)
    const status = (await (await app.get('/status')).json()) as { skips: Record<string, number> }
    expect(status.skips).toEqual({})
  } finally {
    await app.close()
    await admin.end()
    await Promise.all([postgres.stop(), servers.close()])
  }
})

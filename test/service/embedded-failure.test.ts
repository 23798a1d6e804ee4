import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { openPglite } from '../../src/storage/embedded/pglite.js'
import { notified } from '../servers/app.js'
import { temporaryFolder } from '../servers/process.js'
import { API_TOKEN, SERVE, startService } from '../servers/service.js'
import { embeddedFolder } from '../servers/stores.js'

/** 512-byte blocks: less than a segment of PostgreSQL's log, and more than any other file. */
const LARGEST_FILE = 28_000
/** Like a full disk: the next segment of the log cannot be written. */
const LIMITED: typeof SERVE = ['sh', '-c', `ulimit -f ${LARGEST_FILE} && exec "$0" "$@"`, ...SERVE]
const AT_ONCE = 200

describe('the service with the embedded database', () => {
  let folder: ReturnType<typeof temporaryFolder>
  beforeEach(() => {
    folder = embeddedFolder()
  })
  afterEach(() => {
    folder.remove()
  })

  test('ends with a line that says why when the log cannot be written, and loses nothing', async () => {
    const service = await startService(folder.path, {}, LIMITED)
    const exit = new Promise((resolve) => service.process.child.once('exit', resolve))
    let answered = 0
    const statuses = new Set<number>()
    while (service.process.child.exitCode === null) {
      const events = Array.from({ length: AT_ONCE }, () => notified())
      const status = await service.notify({ events }).then(
        ({ status: of }) => of,
        () => 0,
      )
      statuses.add(status)
      if (status === 200) answered += AT_ONCE
    }
    expect(await exit).toBe(1)
    expect([...statuses].every((status) => [200, 503, 0].includes(status))).toBe(true)
    const lines = service.process
      .output()
      .split('\n')
      .filter((line) => line.includes('"level":"fatal"'))
    expect(lines).toEqual([expect.stringContaining('All confirmed writes are stored')])

    const again = await startService(folder.path)
    expect((await again.notify({ events: [notified()] })).status).toBe(200)
    await again.process.end()
    const database = await openPglite(folder.path)
    const { rows } = await sql<{ count: number }>`select count(*)::int as count from event_ids`.execute(database.sql)
    await database.close()
    expect(rows[0]?.count).toBeGreaterThan(answered)
  })

  test('writes nothing after a pause in which another process took its directory, and ends', async () => {
    const service = await startService(folder.path)
    const { child } = service.process
    const exit = new Promise((resolve) => child.once('exit', resolve))
    expect((await service.notify({ events: [notified()] })).status).toBe(200)
    child.kill('SIGSTOP')
    writeFileSync(
      join(folder.path, 'tallyman.lock'),
      JSON.stringify({ pid: 1, host: 'another-container', lock: 'its' }),
    )
    // Longer than between two heartbeats: the process has to look before it writes.
    await new Promise((resolve) => setTimeout(resolve, 11_000))
    child.kill('SIGCONT')
    const status = await service.notify({ events: [notified()] }).then(
      (answer) => answer.status,
      () => 0,
    )
    expect([503, 0]).toContain(status)
    expect(await exit).toBe(1)
    expect(service.process.output()).toContain('another process has taken its directory while this one was suspended')
    expect(readFileSync(join(folder.path, 'tallyman.lock'), 'utf8')).toContain('another-container')
  })

  test('goes on while a statement of an operator runs that would never end, and ends it', async () => {
    const service = await startService(folder.path, { TALLYMAN_SQL_ROUTE: 'true' })
    const statement = 'select count(*) from generate_series(1, 1000000) a, generate_series(1, 1000000) b'
    // Longer than the watchdog lets the event loop stand still.
    const answer = await fetch(`${service.url}/inventory/sql`, {
      method: 'POST',
      headers: { authorization: `Bearer ${API_TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ statement, seconds: 10 }),
    })
    expect(answer.status).toBe(504)
    expect((await service.notify({ events: [notified()] })).status).toBe(200)
    await service.process.end()
  })

  test('needs less than 450 MB of memory, from the first start on', async () => {
    const empty = temporaryFolder('first')
    const service = await startService(empty.path)
    const status = readFileSync(`/proc/${service.process.child.pid}/status`, 'utf8')
    expect(Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1_024).toBeLessThan(450e6)
    await service.process.end()
    empty.remove()
  })
})

import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { createApp, type App } from '../src/service/app.js'
import { readConfig } from '../src/config/config.js'
import { requestOf } from '../src/events/registry-request.js'
import { createCore } from '../src/service/core.js'
import { eraseActors } from '../src/inventory/record/erase-actors.js'
import { createLog } from '../src/service/log.js'
import { openPulls } from '../src/service/open-pulls.js'
import { erase } from '../src/pulls/roll-up/erase.js'
import type { PendingRequest } from '../src/pulls/requests/pending.js'
import { eraseAlsoFrom } from '../src/storage/embedded/dumps.js'
import { NOW } from './servers/clock.js'
import { createCounting } from './servers/counting.js'
import { filesWith } from './servers/data-directory.js'
import { anEvent, DIGEST } from './servers/events.js'
import { API_TOKEN, NOTIFICATION_TOKEN, ROOT } from './servers/service.js'
import { embeddedFolder } from './servers/stores.js'
import { tallyman } from './servers/tallyman.js'

const DAY_MS = 86_400_000
const OLD_SALT = 'zQ8kd2XW9lm4rT7yV1pB6nC3hJ5gF0sAaEeIiOoUuMx'
const NAME = 'Kq7Zr2-Wv9Xb4Tn6'

let folder: ReturnType<typeof embeddedFolder>
let now: Date
let app: App
let isOpen = false

beforeEach(() => {
  folder = embeddedFolder()
  now = NOW
})
afterEach(async () => {
  await stop()
  folder.remove()
})

const start = async (environment: Record<string, string> = {}): Promise<void> => {
  const settings = {
    TALLYMAN_DATA_DIR: folder.path,
    TALLYMAN_NOTIFICATION_TOKENS: NOTIFICATION_TOKEN,
    TALLYMAN_API_TOKENS: API_TOKEN,
    ...environment,
  }
  app = await createApp(readConfig(settings, ROOT), createLog('silent', { write: () => undefined }), () => now)
  await app.afterListening()
  isOpen = true
}
const stop = async (): Promise<void> => {
  if (isOpen) await app.close()
  isOpen = false
}
const later = (days: number): Date => new Date(now.getTime() + days * DAY_MS)
const saltsIn = (): string[] =>
  readdirSync(join(folder.path, 'salts'))
    .sort()
    .map((file) => readFileSync(join(folder.path, 'salts', file), 'utf8'))

/** Expects that no file contains a text, while the service runs and when it has stopped. */
const expectErased = async (text: string): Promise<void> => {
  expect(filesWith(folder.path, text)).toEqual([])
  await stop()
  expect(filesWith(folder.path, text)).toEqual([])
}

describe('a salt of the embedded store', () => {
  test('is in no file once its time is over, nor in a dump before', async () => {
    // Without the jobs of a service, which change salts too.
    const settings = { TALLYMAN_DATA_DIR: folder.path, TALLYMAN_PULLS_SALT_ROTATION: 'daily' }
    const core = await createCore(readConfig(settings, ROOT), () => now)
    const { dumps, database, close } = core.stores
    try {
      const { rotateSalts } = await openPulls(core, database)
      const [ended = ''] = saltsIn()
      await dumps?.write()
      expect(filesWith(folder.path, ended)).toEqual([join('salts', 'daily-2026-11-21')])
      now = later(3)
      await rotateSalts()
      expect(filesWith(folder.path, ended)).toEqual([])
    } finally {
      await close()
    }
  })

  test('of an earlier version, deleted or not, is in no table, no segment of the log and no dump after the start', async () => {
    await start()
    const { database, dumps } = app.core.stores
    // What an earlier version leaves: a row in use, a deleted one, both in a dump and in a segment of the log that was recycled.
    const insert = async (text: string, start: string): Promise<void> => {
      await sql`insert into pulls.salts values ('monthly', ${start}::timestamptz, ${start}::timestamptz + interval '1 month', ${text})`.execute(
        database.sql,
      )
    }
    const insertDeleted = async (): Promise<void> => {
      await insert(OLD_SALT, '2026-10-01T00:00:00Z')
      await sql`delete from pulls.salts where salt = ${OLD_SALT}`.execute(database.sql)
    }
    const kept = OLD_SALT.split('').reverse().join('')
    await insertDeleted()
    await insert(kept, '2027-01-01T00:00:00Z')
    await dumps?.write()
    // A dump begins a new segment.
    await insertDeleted()
    await stop()
    const log = join(folder.path, 'db', 'pg_wal')
    const newest = readdirSync(log)
      .filter((file) => /^[0-9A-F]{24}$/.test(file))
      .sort()
      .at(-1)
    const numbered = (number: number): string => number.toString(16).toUpperCase().padStart(8, '0')
    const after = numbered(parseInt(newest?.slice(16) ?? '', 16) + 1)
    copyFileSync(join(log, newest ?? ''), join(log, `${newest?.slice(0, 16)}${after}`))
    expect(filesWith(folder.path, OLD_SALT).length).toBeGreaterThan(2)

    await start()
    expect(filesWith(folder.path, kept)).toEqual([join('salts', 'monthly-2027-01-01')])
    await expectErased(OLD_SALT)
  })

  test('gives an origin one name across restarts, also after a crash while the file was written', async () => {
    const originNow = async (): Promise<PendingRequest | undefined> => {
      const { pendingOf } = await openPulls(app.core, app.core.stores.database)
      const pull = anEvent({ action: 'pull', at: now.toISOString(), object: 'blob', address: '192.0.2.1' })
      const request = requestOf(pull)
      return request && pendingOf(request)
    }
    await start()
    const first = await originNow()
    await stop()
    writeFileSync(join(folder.path, 'salts', 'monthly-2026-11-01.part'), 'of a process that was killed')
    writeFileSync(join(folder.path, 'salts', 'monthly-2027-01-01.part'), '')
    await start()
    expect((await originNow())?.origin).toBe(first?.origin)
    expect(readdirSync(join(folder.path, 'salts')).sort()).toEqual(['monthly-2026-11-01', 'monthly-2026-12-01'])
    await stop()
  })

  test('is readable for its owner alone', async () => {
    mkdirSync(join(folder.path, 'salts'))
    chmodSync(join(folder.path, 'salts'), 0o755)
    await start()
    expect(statSync(join(folder.path, 'salts')).mode & 0o777).toBe(0o700)
    for (const file of readdirSync(join(folder.path, 'salts')))
      expect(statSync(join(folder.path, 'salts', file)).mode & 0o777).toBe(0o600)
    await stop()
  })
})

test('the name of an actor is in no file of the embedded store once it has expired', async () => {
  await start()
  const { database, sketches } = app.core.stores
  const at = new Date(NOW.getTime() - 402 * DAY_MS).toISOString()
  const rename = { what: 'repository', from: 'a', to: 'b' } as never
  const stores = { database, sketches } as Parameters<typeof createCounting>[0]
  await createCounting(stores).ingest([
    anEvent({ id: 1, object: 'manifest', digest: DIGEST, tag: '1', name: NAME, at }),
    anEvent({ id: 2, action: 'delete', tag: '1', name: NAME, at }),
    anEvent({ id: 3, action: 'rename', name: NAME, at, rename }),
    anEvent({ id: 4, object: 'manifest', digest: DIGEST, tag: '1', name: 'alice', at: NOW.toISOString() }),
    ...Array.from({ length: 50 }, (_, i) =>
      anEvent({ id: 10 + i, action: 'delete', tag: '1', name: `${NAME}${i}`, at }),
    ),
  ])
  expect(filesWith(folder.path, NAME)).not.toEqual([])
  await eraseActors(database, 400, NOW)
  const { rows } = await sql<{ name: string }>`select name from inventory.actors`.execute(database.sql)
  expect(rows).toEqual([{ name: 'alice' }])
  await expectErased(NAME)
})

describe('pulls forget on the embedded store', () => {
  const ORIGIN = 'kJ3v0m7cWqY1sT5uXbZ9aA'
  const keep = async (text: string, rows: number): Promise<void> => {
    const { database } = app.core.stores
    await sql`
      insert into pulls.outcomes (id, what, at, registry, repository, origin, endpoint, source, kind, client)
      select ${text} || i, 'invocation', ${NOW}, 'registry.example', 'a', ${text}, 'e', 'notification', 'cli', repeat(md5(i::text), 30)
      from generate_series(1, ${rows}::int) i
    `.execute(database.sql)
  }

  const byRoute = async (): Promise<void> => {
    await new Promise<void>((resolve) => app.http.listen(0, '127.0.0.1', resolve))
    const { port } = app.http.address() as AddressInfo
    const answer = await fetch(`http://127.0.0.1:${port}/pulls/forget`, {
      method: 'POST',
      headers: { authorization: `Bearer ${API_TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ origin: ORIGIN }),
    }).finally(() => app.http.close())
    expect(await answer.json()).toMatchObject({ invocations: 100, not_rewritten: [] })
  }
  const byCommand = async (): Promise<void> => {
    await stop()
    const command = ['pulls', 'forget', '--origin', ORIGIN, '--json']
    const { out } = await tallyman({ TALLYMAN_DATA_DIR: folder.path, TALLYMAN_API_TOKENS: API_TOKEN }, ...command)
    expect(JSON.parse(out)).toMatchObject({ invocations: 100, not_rewritten: [] })
  }

  test.each([
    ['by the API', byRoute],
    ['by the command without a service', byCommand],
  ])('%s leaves an origin in no file, nor in a dump', async (_, forget) => {
    await start()
    const { dumps } = app.core.stores
    await keep(ORIGIN, 100)
    await keep('another', 1)
    await dumps?.write()
    now = later(1)
    await dumps?.write()
    await forget()
    expect(readdirSync(join(folder.path, 'dumps'))).toHaveLength(1)
    await expectErased(ORIGIN)
    await start()
    const { rows } = await sql`select from pulls.outcomes`.execute(app.core.stores.database.sql)
    expect(rows).toHaveLength(1)
  })

  test('leaves an origin in no pending request of the same client after a change of the salt', async () => {
    // Without the jobs of a service, which would fold the requests.
    const core = await createCore(readConfig({ TALLYMAN_DATA_DIR: folder.path }, ROOT), () => now)
    const { database, dumps, close } = core.stores
    const pending = async (): Promise<{ origin: string; previous: string | null }[]> => {
      const { rows } = await sql<{ origin: string; previous: string | null }>`
        select origin, request::jsonb->>'previous' as previous from pulls.pending order by at
      `.execute(database.sql)
      return rows
    }
    try {
      const insert = async (at: string, origin: string, previous?: string): Promise<void> => {
        const request = JSON.stringify({ requestId: 'r', at: 1, object: 'manifest', method: 'GET', tag: '1', previous })
        await sql`
          insert into pulls.pending (id, registry, at, repository, origin, request, who)
          values (gen_random_uuid(), 'registry.example', ${at}::timestamptz, 'a', ${origin}, ${request}, '{"kind":"cli"}')
        `.execute(database.sql)
      }
      await insert('2026-11-30T23:50:00Z', ORIGIN)
      await insert('2026-12-01T00:10:00Z', 'its next name', ORIGIN)
      await insert('2026-12-01T00:11:00Z', 'another', 'the previous name of another')
      await dumps?.write()
      await eraseAlsoFrom(dumps, async () => erase(database, { origin: ORIGIN }))
      expect(await pending()).toEqual([
        { origin: 'its next name', previous: null },
        { origin: 'another', previous: 'the previous name of another' },
      ])
      expect(filesWith(folder.path, ORIGIN)).toEqual([])
    } finally {
      await close()
    }
  })

  test('names a table that is too large to be rewritten while the service runs, and rewrites it at the next start', async () => {
    await start()
    await keep(ORIGIN, 10)
    await keep('another', 40_000)
    const { database, dumps } = app.core.stores
    await dumps?.write()
    expect((await erase(database, { origin: ORIGIN })).not_rewritten).toEqual(['pulls.outcomes'])
    await stop()
    expect(filesWith(folder.path, ORIGIN)).not.toEqual([])
    await start()
    await expectErased(ORIGIN)
  })
})

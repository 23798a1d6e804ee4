import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { pino } from 'pino'
import { createApp } from '../../src/service/app.js'
import { readConfig } from '../../src/config/config.js'
import { sketchKey } from '../../src/counters/keys.js'
import { microsOf } from '../../src/events/calendar.js'
import { UserFileError } from '../../src/users/read-user-file.js'
import { fixedClock, NOW } from '../servers/clock.js'
import { ROOT } from '../servers/service.js'
import { embeddedFolder } from '../servers/stores.js'

let folder: ReturnType<typeof embeddedFolder>
beforeEach(() => {
  folder = embeddedFolder()
})
afterEach(() => {
  folder.remove()
})

test('a start that fails closes what it opened, so that the next one can work', async () => {
  const users = join(folder.path, 'users.yml')
  writeFileSync(users, '- alice\n')
  const config = readConfig({ TALLYMAN_DATA_DIR: folder.path, TALLYMAN_USERS_FILE: users }, ROOT)
  const start = async (): ReturnType<typeof createApp> => createApp(config, pino({ level: 'silent' }), fixedClock)
  await expect(start()).rejects.toThrow(UserFileError)
  writeFileSync(users, 'alice: 17\n')
  const app = await start()
  await app.close()
})

test('a start deletes the schedule of a job that is not configured any more', async () => {
  const restart = async (settings: Record<string, string>): ReturnType<typeof createApp> =>
    createApp(readConfig({ TALLYMAN_DATA_DIR: folder.path, ...settings }, ROOT), pino({ level: 'silent' }), fixedClock)
  const isKept = async (settings: Record<string, string>): Promise<boolean> => {
    const app = await restart(settings)
    const { rows } = await sql`select from schedules where job = 'reconcile'`.execute(app.core.stores.database.sql)
    await app.close()
    return rows.length > 0
  }
  const app = await restart({})
  await sql`insert into schedules values ('reconcile', '30 2 * * 0', 'UTC', '9999-01-01')`.execute(
    app.core.stores.database.sql,
  )
  await app.close()
  expect(await isKept({ TALLYMAN_RECONCILE_CRON: '30 2 * * 0' })).toBe(true)
  expect(await isKept({})).toBe(false)
})

test('a sketch that cannot be rebuilt does not keep the service from starting', async () => {
  const lines: string[] = []
  const log = pino({ level: 'error' }, { write: (line: string) => void lines.push(line) })
  const start = async (): ReturnType<typeof createApp> =>
    createApp(readConfig({ TALLYMAN_DATA_DIR: folder.path }, ROOT), log, fixedClock)
  const app = await start()
  const { sql: db } = app.core.stores.database
  const key = sketchKey('i_container_registry_create_repository_user', 'monthly', microsOf(NOW))
  await sql`insert into stale_sketches values (${key})`.execute(db)
  await sql`
    insert into repositories (registry, name, first_at, first_event, if_first, if_known)
    values ('registry.example', 'a', ${NOW.toISOString()}::timestamptz, gen_random_uuid(), '{}', '[]')
  `.execute(db)
  await app.close()
  await (await start()).close()
  expect(lines.join('')).toMatch(/cannot extract elements from an object.*cannot be rebuilt yet/s)
})

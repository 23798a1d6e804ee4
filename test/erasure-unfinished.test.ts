import { cpSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { createApp, type App } from '../src/service/app.js'
import { readConfig } from '../src/config/config.js'
import { createLog } from '../src/service/log.js'
import { erase } from '../src/pulls/roll-up/erase.js'
import { createSaltFiles } from '../src/requesters/salt-files.js'
import { moveSalts } from '../src/requesters/salt-table.js'
import { markErasure } from '../src/storage/sql/erasure-marks.js'
import { readStatus, type Status } from '../src/service/status.js'
import { NOW } from './servers/clock.js'
import { filesWith } from './servers/data-directory.js'
import { temporaryFolder } from './servers/process.js'
import { API_TOKEN, NOTIFICATION_TOKEN, ROOT } from './servers/service.js'
import { createSmallDisk, whyNoSmallDisk, type SmallDisk } from './servers/small-disk.js'
import { tallyman } from './servers/tallyman.js'

const SALT = 'zQ8kd2XW9lm4rT7yV1pB6nC3hJ5gF0sAaEeIiOoUuMx'
const ORIGIN = 'kJ3v0m7cWqY1sT5uXbZ9aA'

let path: string
let lines: string[]
let app: App | undefined

const environment = (): Record<string, string> => ({
  TALLYMAN_DATA_DIR: path,
  TALLYMAN_NOTIFICATION_TOKENS: NOTIFICATION_TOKEN,
  TALLYMAN_API_TOKENS: API_TOKEN,
})
const start = async (): Promise<App> => {
  lines = []
  const log = createLog('warn', { write: (line: string) => void lines.push(line) })
  app = await createApp(readConfig(environment(), ROOT), log, () => NOW)
  await app.afterListening()
  return app
}
const stop = async (): Promise<void> => {
  await app?.close()
  app = undefined
}
const status = async (): Promise<Status> => {
  if (!app) throw new Error('the service is stopped')
  return readStatus(app.core)
}
const dumps = (): string[] => readdirSync(join(path, 'dumps'))
const prepare = (directory: string): void => {
  path = directory
  cpSync(join(process.env.TALLYMAN_TEST_TEMPLATES ?? '', 'migrated'), path, { recursive: true })
}
/** A salt as earlier versions stored it, in the table, the log and a dump. */
const storeSalt = async ({ core: { stores } }: App): Promise<void> => {
  await sql`insert into pulls.salts values ('monthly', '2026-10-01', '2026-11-01', ${SALT})`.execute(
    stores.database.sql,
  )
  await stores.dumps?.write()
}
const inDatabase = (): string[] => filesWith(path, SALT).filter((file) => !file.startsWith('salts'))

describe('an erasure that a process could not finish', () => {
  let folder: ReturnType<typeof temporaryFolder>
  beforeEach(() => {
    folder = temporaryFolder('unfinished')
    prepare(folder.path)
  })
  afterEach(async () => {
    await stop()
    folder.remove()
  })

  test('of salts is finished by the next start if the process ended after their table was emptied', async () => {
    const { core } = await start()
    await storeSalt({ core } as App)
    const { database } = core.stores
    const killed = async (): Promise<never> => Promise.reject(new Error('killed'))
    await moveSalts({ ...database, eraseTraces: killed }, createSaltFiles(join(path, 'salts'))).catch(() => undefined)
    await stop()
    expect(inDatabase()).not.toEqual([])
    await start()
    expect(inDatabase()).toEqual([])
    expect(dumps()).toHaveLength(1)
  })

  test('of deleted rows is finished by the next start if the process ended between two tables', async () => {
    const { core } = await start()
    const { database } = core.stores
    await sql`insert into inventory.actors (day, id, name) values ('2020-01-01', 1, ${ORIGIN})`.execute(database.sql)
    await sql`delete from inventory.actors`.execute(database.sql)
    await expect(database.eraseTraces(['no.such_table', 'inventory.actors'])).rejects.toThrow(/no/)
    await stop()
    expect(filesWith(path, ORIGIN)).not.toEqual([])
    await start()
    expect(filesWith(path, ORIGIN)).toEqual([])
    expect((await status()).warnings.filter((warning) => /erased|erasing/.test(warning))).toEqual([])
  })

  test('of dumps does not delay a start', async () => {
    const { core } = await start()
    await core.stores.dumps?.write()
    await markErasure(core.stores.database.sql, ['dumps'])
    await stop()
    const before = dumps().map((name) => statSync(join(path, 'dumps', name)).ino)
    app = await createApp(readConfig(environment(), ROOT), createLog('silent', { write: () => undefined }), () => NOW)
    expect(dumps().map((name) => statSync(join(path, 'dumps', name)).ino)).toEqual(before)
    await app.afterListening()
    expect(dumps().map((name) => statSync(join(path, 'dumps', name)).ino)).not.toEqual(before)
  })

  test('of dumps does not end a start, is shown, and is finished by the job that writes dumps', async () => {
    await storeSalt(await start())
    await stop()
    const obstacle = join(path, 'dumps', `tallyman-${NOW.toISOString().slice(0, 10)}.tar.gz`)
    const old = join(path, 'dumps', 'tallyman-2026-01-01.tar.gz')
    cpSync(obstacle, old)
    rmSync(obstacle)
    mkdirSync(join(obstacle, 'in the way'), { recursive: true })
    const { core } = await start()
    expect(lines.join('')).toMatch(/an erasure is not finished/)
    const { warnings, dumps: state } = await status()
    expect(warnings).toContainEqual(expect.stringMatching(/^dumps may still contain erased rows/))
    expect(warnings).toContainEqual(expect.stringMatching(/^the newest dump is of .* failed: /))
    expect(state).toMatchObject({ failedAt: NOW, error: expect.stringContaining('tallyman-') })
    rmSync(obstacle, { recursive: true })
    await core.stores.dumps?.write()
    expect(inDatabase()).toEqual([])
    expect(dumps()).toHaveLength(1)
    const after = await status()
    expect(after.warnings.filter((warning) => /erased|dump/.test(warning))).toEqual([])
    expect(after.dumps).toEqual({ lastAt: expect.anything(), failedAt: null, error: null })
    await stop()
    expect((await tallyman(environment(), 'status')).out).toMatch(
      /Dumps of the embedded database\n {2}last {4}\d{4}-.* UTC, \d+ (hours|days) old/,
    )
  })

  test('of dumps is finished by the next start if the process ended in the erasure, whatever was dumped meanwhile', async () => {
    const { core } = await start()
    await storeSalt({ core } as App)
    const { database, dumps: written } = core.stores
    await new Promise<void>((resolve, reject) => {
      const erasing = written?.replaceAfter(async () => {
        await written.write()
        await sql`truncate pulls.salts`.execute(database.sql)
        await database.eraseTraces(['pulls.salts'])
        resolve()
        // A process that is killed never goes on.
        return new Promise(() => undefined)
      })
      erasing?.catch(reject)
    })
    await stop()
    expect(inDatabase()).toContainEqual(expect.stringContaining('dumps'))
    await start()
    expect(inDatabase().filter((file) => file.startsWith('dumps'))).toEqual([])
  })
})

const reason = whyNoSmallDisk()
if (reason !== undefined) console.warn(`Full disks are not tested here: ${reason}`)
const onSmallDisk = reason === undefined ? describe : describe.skip

onSmallDisk('a start without space for an erasure', () => {
  let disk: SmallDisk
  beforeEach(() => {
    disk = createSmallDisk(600)
    const data = join(disk.path, 'data')
    mkdirSync(data, { mode: 0o700 })
    prepare(data)
  })
  afterEach(async () => {
    await stop()
    disk.remove()
  })

  test('serves, removes the dumps with salts, and erases the rest at the start that has space', async () => {
    await storeSalt(await start())
    await stop()
    disk.leave(60)
    await start()
    expect(dumps()).toEqual([])
    expect(lines.join('')).toMatch(/was removed: it may contain erased rows.*there is no dump any more/s)
    const { warnings, dumps: state } = await status()
    expect(warnings).toContainEqual(expect.stringMatching(/^the write-ahead log may still contain erased rows/))
    expect(state).toMatchObject({ lastAt: null, error: expect.stringContaining('no space for a dump') })
    await stop()
    disk.free()
    await start()
    expect(inDatabase()).toEqual([])
  })

  test('serves without the rewrite of a large table, names it, and rewrites it at the start that has space', async () => {
    const { core } = await start()
    const { database } = core.stores
    const keep = async (text: string, rows: number): Promise<void> => {
      await sql`
        insert into pulls.outcomes (id, what, at, registry, repository, origin, endpoint, source, kind, client)
        select ${text} || i, 'invocation', ${NOW}, 'registry.example', 'a', ${text}, 'e', 'notification', 'cli', repeat(md5(i::text), 30)
        from generate_series(1, ${rows}::int) i
      `.execute(database.sql)
    }
    await keep(ORIGIN, 10)
    await keep('another', 40_000)
    expect((await erase(database, { origin: ORIGIN })).not_rewritten).toEqual(['pulls.outcomes'])
    const named = expect.stringMatching(
      /^restart to finish erasing: the files of pulls\.outcomes still contain deleted rows/,
    )
    expect((await status()).warnings).toContainEqual(named)
    await stop()
    disk.leave(60)
    await start()
    expect((await status()).warnings).toContainEqual(named)
    expect(lines.join('')).toContain('restart to finish erasing')
    await stop()
    disk.free()
    await start()
    expect((await status()).warnings).not.toContainEqual(named)
    await stop()
    expect(filesWith(path, ORIGIN)).toEqual([])
  })
})

import { chmodSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { isStorageUnavailable } from '../../../src/storage/unavailable.js'
import { EmbeddedDatabaseFailed } from '../../../src/storage/embedded/failure.js'
import { EmbeddedInstance } from '../../../src/storage/embedded/instance.js'
import { openPglite } from '../../../src/storage/embedded/pglite.js'
import { temporaryFolder } from '../../servers/process.js'
import { embeddedFolder } from '../../servers/stores.js'

/** PostgreSQL cannot go on without its log: the next segment ends it with a PANIC. */
const takeLogAway = (data: string): void => {
  rmSync(join(data, 'pg_wal'), { recursive: true })
}

describe('an embedded database that cannot go on', () => {
  let folder: ReturnType<typeof temporaryFolder>
  beforeEach(() => {
    folder = embeddedFolder('empty')
  })
  afterEach(() => {
    folder.remove()
  })
  const data = (): string => join(folder.path, 'db')

  test('fails every statement, including pending ones, reports the reason once, and closes', async () => {
    const database = await openPglite(folder.path)
    const failures: Error[] = []
    database.onFailure((failure) => failures.push(failure))
    await sql`create table kept (n int)`.execute(database.sql)
    takeLogAway(data())
    const results = await Promise.allSettled([
      database.transaction(async (tx) => {
        await sql`insert into kept values (1)`.execute(tx)
        await sql`select pg_switch_wal()`.execute(tx)
        await sql`insert into kept values (2)`.execute(tx)
      }),
      sql`select 1`.execute(database.sql),
      database.version(),
    ])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    await expect(database.version()).rejects.toThrow(/pg_wal.*All confirmed writes are stored/s)
    expect(isStorageUnavailable(await database.version().catch((error: unknown) => error))).toBe(true)
    expect(failures).toEqual([expect.any(EmbeddedDatabaseFailed)])
    expect(database.failure()).toBe(failures[0])
    await database.close()
  })

  test('has failed if a statement is never answered', async () => {
    const instance = new EmbeddedInstance(data(), { noAnswerMs: 50 })
    await instance.opened()
    instance.execProtocolRaw = async () => new Promise(() => undefined)
    await expect(instance.execProtocolStream(new Uint8Array([1]))).rejects.toThrow(/never answered/)
    await expect(instance.execProtocolStream(new Uint8Array([1]))).rejects.toThrow(EmbeddedDatabaseFailed)
    await instance.close()
  })

  test.each(['Q', 'S'])('has failed if a message %s is answered in part', async (type) => {
    const instance = new EmbeddedInstance(data())
    await instance.opened()
    instance.execProtocolRaw = async () => Promise.resolve(new Uint8Array())
    const message = new Uint8Array([type.charCodeAt(0)])
    await expect(instance.execProtocolStream(message)).rejects.toThrow(/answered in part/)
    expect(instance.failure).toBeInstanceOf(EmbeddedDatabaseFailed)
    await instance.close()
  })

  test.each([
    [
      'is damaged',
      () => {
        writeFileSync(join(data(), 'global', 'pg_control'), 'nonsense')
      },
    ],
    [
      'is of another version',
      () => {
        writeFileSync(join(data(), 'PG_VERSION'), '11\n')
      },
    ],
    [
      'lost its log',
      () => {
        takeLogAway(data())
      },
    ],
    [
      'lost a catalog',
      () => {
        for (const name of readdirSync(join(data(), 'base', '5'))) rmSync(join(data(), 'base', '5', name))
      },
    ],
    [
      'has no version',
      () => {
        rmSync(join(data(), 'PG_VERSION'))
      },
    ],
  ])('that %s is refused with a sentence', async (_, damage) => {
    damage()
    const error = await openPglite(folder.path).then(undefined, (thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(EmbeddedDatabaseFailed)
    expect((error as Error).message).toContain(data())
  })
})

describe('the files of the embedded database', () => {
  test('are in a directory that others may not enter, whoever made it', async () => {
    const folder = embeddedFolder('empty')
    const data = join(folder.path, 'db')
    chmodSync(folder.path, 0o755)
    chmodSync(data, 0o755)
    await (await openPglite(folder.path)).close()
    expect(statSync(data).mode & 0o777).toBe(0o700)
    folder.remove()
  })

  test('are made at once: what another start left behind is removed', async () => {
    const folder = temporaryFolder('first')
    mkdirSync(join(folder.path, 'db.new-1', 'base'), { recursive: true })
    mkdirSync(join(folder.path, 'db'))
    const database = await openPglite(folder.path)
    expect((await sql<{ one: number }>`select 1 as one`.execute(database.sql)).rows).toEqual([{ one: 1 }])
    await database.close()
    expect(readdirSync(folder.path)).toEqual(['db'])
    expect(statSync(join(folder.path, 'db')).mode & 0o777).toBe(0o700)
    folder.remove()
  })
})

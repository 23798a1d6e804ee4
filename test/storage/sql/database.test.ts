import { constants } from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Migrator, sql } from 'kysely'
import { isStorageUnavailable } from '../../../src/storage/unavailable.js'
import { isConflict, isContentError, isRefusal, sqlState, type Database } from '../../../src/storage/sql/database.js'
import { installationIn } from '../../../src/schema/installation.js'
import { takeLease } from '../../../src/storage/sql/leases.js'
import { migrate, MIGRATIONS } from '../../../src/schema/migrate.js'
import { openPostgres } from '../../../src/storage/sql/postgres.js'
import { OtherUsersKey } from '../../../src/schema/users-key.js'
import { NOW } from '../../servers/clock.js'
import { createDatabase } from '../../servers/shared.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const INSERT = { name: 'insert_tally', text: 'insert into tallies values ($1, $2, $3) returning name' }

describe.each(STORE_PAIRS)('the SQL database of %s', (_, open) => {
  let stores: TestStores
  let database: Database
  beforeAll(async () => {
    stores = await open()
    database = stores.database
  })
  afterAll(async () => stores.close())

  const names = async (): Promise<string[]> =>
    (await sql<{ name: string }>`select name from tallies order by name`.execute(database.sql)).rows.map(
      ({ name }) => name,
    )
  const failure = async (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => undefined,
      (error: unknown) => error,
    )

  test('a transaction commits all of its work, hot statements and others, and then calls back', async () => {
    await stores.clear()
    const calls: string[] = []
    const rows = await database.transaction(async (tx) => {
      tx.afterCommit(() => calls.push('committed'))
      const hot = tx.run<{ name: string }>(INSERT, ['a', '2026-11-21', 1])
      await sql`insert into tallies values ('b', '2026-11-21', 1)`.execute(tx)
      expect(calls).toEqual([])
      return hot
    })
    expect(rows).toEqual([{ name: 'a' }])
    expect(await names()).toEqual(['a', 'b'])
    expect(calls).toEqual(['committed'])
  })

  test('nothing of it holds when the work fails', async () => {
    await stores.clear()
    const calls: string[] = []
    const failed = database.transaction(async (tx) => {
      tx.afterCommit(() => calls.push('committed'))
      await tx.run(INSERT, ['a', '2026-11-21', 1])
      throw new Error('changed my mind')
    })
    await expect(failed).rejects.toThrow('changed my mind')
    expect(await names()).toEqual([])
    expect(calls).toEqual([])
  })

  test('is rolled back if a statement fails that the work did not await, and throws its error', async () => {
    await stores.clear()
    const failed = database.transaction(async (tx) => {
      void tx.run(INSERT, ['a', '2026-11-21', 1])
      void tx.run(INSERT, ['a', 'no day', 1])
      return Promise.resolve('never')
    })
    await expect(failed).rejects.toThrow(/no day/)
    expect(await names()).toEqual([])
  })

  test('work that goes on after its transaction has failed can change nothing', async () => {
    await stores.clear()
    let late: Promise<unknown> = Promise.resolve()
    let goOn = (): void => undefined
    const later = new Promise<void>((resolve) => (goOn = resolve))
    const failed = database.transaction(async (tx) => {
      late = later.then(async () =>
        Promise.allSettled([
          tx.run(INSERT, ['a', '2026-11-21', 1]),
          sql`insert into tallies values ('b', '2026-11-21', 1)`.execute(tx),
        ]),
      )
      await sql`select nonsense`.execute(tx)
    })
    await expect(failed).rejects.toThrow(/nonsense/)
    const next = database.transaction(async (tx) => {
      await tx.run(INSERT, ['c', '2026-11-21', 1])
      goOn()
      await late
    })
    await next
    expect(await late).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }])
    expect(await names()).toEqual(['c'])
  })

  test('the connection works on after a failure, also for many at once', async () => {
    await stores.clear()
    const attempts = Array.from({ length: 60 }, async (_, i) =>
      failure(database.transaction(async (tx) => tx.run(INSERT, [`n${i}`, i % 3 === 0 ? 'no day' : '2026-11-21', 1]))),
    )
    const errors = await Promise.all(attempts)
    expect(errors.filter((error) => error !== undefined)).toHaveLength(20)
    expect(await names()).toHaveLength(40)
  })

  test('distinguishes data that can never be stored from a conflict and from an unavailable store', async () => {
    const wrongDay = await failure(sql`select 'no day'::date`.execute(database.sql))
    expect([isContentError(wrongDay), isConflict(wrongDay), isStorageUnavailable(wrongDay)]).toEqual([
      true,
      false,
      false,
    ])
    const conflict = await failure(
      sql`do $$ begin raise exception using errcode = '40P01'; end $$`.execute(database.sql),
    )
    expect([isContentError(conflict), isConflict(conflict), isStorageUnavailable(conflict)]).toEqual([
      false,
      true,
      false,
    ])
    const shutdown = await failure(
      sql`do $$ begin raise exception using errcode = '57P03'; end $$`.execute(database.sql),
    )
    expect([isContentError(shutdown), isConflict(shutdown), isStorageUnavailable(shutdown)]).toEqual([
      false,
      false,
      true,
    ])
    const bug = await failure(sql`select nonsense`.execute(database.sql))
    // The state of the database may be repaired, and then the same data can be stored.
    const duplicate = await failure(
      sql`insert into leases select 'x', 'y', now() from generate_series(1, 2)`.execute(database.sql),
    )
    await sql`create temp sequence numbers maxvalue 2`.execute(database.sql)
    await sql`select setval('numbers', 2)`.execute(database.sql)
    const noNumber = await failure(sql`select nextval('numbers')`.execute(database.sql))
    for (const error of [bug, duplicate, noNumber]) {
      expect([isContentError(error), isConflict(error), isStorageUnavailable(error)]).toEqual([false, false, false])
    }
  })

  test('a lease has one holder, who may prolong it, until its time is over', async () => {
    await stores.clear()
    expect(await takeLease(database, 'x', 'me', 60)).toBe(true)
    expect(await takeLease(database, 'x', 'you', 60)).toBe(false)
    expect(await takeLease(database, 'y', 'you', 60)).toBe(true)
    expect(await takeLease(database, 'x', 'me', 0)).toBe(true)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(await takeLease(database, 'x', 'you', 60)).toBe(true)
    expect(await takeLease(database, 'x', 'me', 60)).toBe(false)
  })

  test('an installation keeps its uuid, and refuses a users key that is not its own', async () => {
    await stores.clear()
    const first = await installationIn(database, 'fingerprint', new Date('2026-11-21T00:00:00Z'))
    const second = await installationIn(database, 'fingerprint', new Date('2027-01-01T00:00:00Z'))
    expect(second).toEqual(first)
    expect(first.installedAt).toEqual(new Date('2026-11-21T00:00:00Z'))
    await expect(installationIn(database, 'another', NOW)).rejects.toThrow(OtherUsersKey)
  })

  test('is of a version, and up to date', async () => {
    expect(await database.version()).toMatch(/^\d+\.\d+$/)
    expect(await migrate(database.sql)).toEqual([])
  })

  test('gets the table of windows also where the migration before it was applied without one', async () => {
    await sql`drop table pulls.windows`.execute(database.sql)
    await sql`delete from kysely_migration where name = '0011-pull-windows'`.execute(database.sql)
    const provider = { getMigrations: async () => Promise.resolve(MIGRATIONS) }
    const migrator = new Migrator({ db: database.sql, provider, allowUnorderedMigrations: true })
    expect((await migrator.migrateToLatest()).results).toMatchObject([{ migrationName: '0011-pull-windows' }])
    expect((await sql`select * from pulls.windows`.execute(database.sql)).rows).toEqual([])
  })
})

test('codes of files and sockets are no SQLSTATEs, also if they have five letters', () => {
  const withCode = (code: string): Error => Object.assign(new Error(code), { code })
  const ofNode = Object.keys(constants.errno).filter((code) => code.length === 5)
  expect(ofNode).toEqual(expect.arrayContaining(['EROFS', 'EPIPE', 'EPERM', 'EBUSY', 'EXDEV', 'ELOOP']))
  expect(ofNode.filter((code) => isRefusal(withCode(code)))).toEqual([])
  const states = ['42P01', '57014', 'P0001', 'XX000', 'F0000', 'HV000', '0A000']
  expect(states.map((code) => sqlState(withCode(code)))).toEqual(states)
})

test('several processes that start at once migrate one database once', async () => {
  const { url, drop } = await createDatabase({ isMigrated: false })
  const processes = [1, 2, 3, 4].map(() => openPostgres(url))
  const applied = await Promise.all(processes.map(async ({ sql: db }) => migrate(db)))
  const database = openPostgres(url)
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(database.sql)
  expect(rows.length).toBeGreaterThan(1)
  expect(applied.flat()).toEqual(rows.map(({ name }) => name))
  await database.close()
  await Promise.all(processes.map(async ({ close }) => close()))
  await drop()
})

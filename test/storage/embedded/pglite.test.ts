import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { sql } from 'kysely'
import { DirectoryInUse, directoryHolder, lockDirectory, pidNamespace } from '../../../src/storage/directory-lock.js'
import { checkpointIfDue } from '../../../src/storage/embedded/checkpoint.js'
import { migrate } from '../../../src/schema/migrate.js'
import { DatabaseLost, openPglite, type EmbeddedDatabase } from '../../../src/storage/embedded/pglite.js'
import { fixedClock, machineClock } from '../../servers/clock.js'
import { temporaryFolder } from '../../servers/process.js'
import { embeddedFolder } from '../../servers/stores.js'

/** Where a pid in a lock is looked up. */
const HERE = { host: hostname(), namespace: pidNamespace() }

describe('a data directory', () => {
  let folder: ReturnType<typeof temporaryFolder>
  beforeEach(() => {
    folder = temporaryFolder('lock')
  })
  afterEach(() => {
    folder.remove()
  })
  const file = (): string => join(folder.path, 'tallyman.lock')
  const directoryHolderOf = (lock: string): number => (JSON.parse(readFileSync(lock, 'utf8')) as { pid: number }).pid
  const pretend = (holder: object, age = 0): void => {
    writeFileSync(file(), JSON.stringify(holder))
    const then = new Date(machineClock().getTime() - age)
    utimesSync(file(), then, then)
  }

  test('belongs to one process, until it is released', async () => {
    const lock = await lockDirectory(folder.path)
    expect(statSync(file()).mode & 0o777).toBe(0o600)
    await expect(lockDirectory(folder.path)).rejects.toThrow(DirectoryInUse)
    await expect(lockDirectory(`${folder.path}/.`)).rejects.toThrow(DirectoryInUse)
    lock.release()
    ;(await lockDirectory(folder.path)).release()
    expect(existsSync(file())).toBe(false)
  })

  test('contains the process that uses it, and the address of that process', async () => {
    pretend({ ...HERE, pid: process.ppid, listen: 'http://127.0.0.1:3000' })
    expect(directoryHolder(folder.path)).toMatchObject({ pid: process.ppid, listen: 'http://127.0.0.1:3000' })
    await expect(lockDirectory(folder.path)).rejects.toThrow(
      new RegExp(`in use by process ${process.ppid} on .*TALLYMAN_DATA_DIR`),
    )
  })

  describe('at a heartbeat', () => {
    beforeEach(() => {
      jest.useFakeTimers({ doNotFake: ['Date', 'nextTick', 'setImmediate', 'setTimeout', 'queueMicrotask'] })
    })
    afterEach(() => {
      jest.useRealTimers()
    })

    test('has its lock again when somebody deleted the file, and none when the folder is gone', async () => {
      const lock = await lockDirectory(folder.path)
      rmSync(file())
      jest.advanceTimersByTime(5_000)
      expect(directoryHolderOf(file())).toBe(process.pid)
      rmSync(folder.path, { recursive: true })
      jest.advanceTimersByTime(5_000)
      lock.release()
      expect(existsSync(file())).toBe(false)
    })

    test('that comes too late leaves the lock of the next holder alone', async () => {
      const lock = await lockDirectory(folder.path)
      expect(lock.isHeld()).toBe(true)
      pretend({ ...HERE, pid: process.pid }, 10_000)
      const before = statSync(file()).mtimeMs
      jest.advanceTimersByTime(5_000)
      lock.announce('http://127.0.0.1:3000')
      expect([statSync(file()).mtimeMs, lock.isHeld()]).toEqual([before, false])
      lock.release()
      expect(existsSync(file())).toBe(true)
    })
  })

  test('is lost if the file is gone after a pause: another holder may have ended meanwhile', async () => {
    jest.useFakeTimers({ doNotFake: ['setInterval', 'nextTick', 'setImmediate', 'setTimeout', 'queueMicrotask'] })
    try {
      const lock = await lockDirectory(folder.path)
      rmSync(file())
      jest.setSystemTime(machineClock().getTime() + 15_000)
      expect(lock.isHeld()).toBe(true)
      jest.setSystemTime(machineClock().getTime() + 36_000)
      expect(lock.isHeld()).toBe(false)
      lock.release()
    } finally {
      jest.useRealTimers()
    }
  })

  test('has one holder, of two in containers that waited for the same silence', async () => {
    pretend({ ...HERE, pid: process.pid, namespace: 'another' })
    const other = { ...HERE, pid: process.pid, namespace: 'a third', lock: 'its' }
    let waits = 0
    const locking = lockDirectory(folder.path, async () => {
      if (++waits === 21) pretend(other)
      return Promise.resolve()
    })
    await expect(locking).rejects.toThrow(DirectoryInUse)
    expect(directoryHolder(folder.path)).toEqual(other)
  })

  test('is free when its holder is dead, also in another container', async () => {
    pretend({ ...HERE, pid: 2 ** 22 + 1 })
    ;(await lockDirectory(folder.path)).release()
    pretend({ pid: 1, host: 'another-container' })
    await expect(lockDirectory(folder.path)).rejects.toThrow(/process 1 on another-container/)
    pretend({ pid: 1, host: 'another-container' }, 30_000)
    ;(await lockDirectory(folder.path)).release()
    writeFileSync(file(), 'nonsense')
    ;(await lockDirectory(folder.path)).release()
  })

  test('of a holder with the same name and pid in another container is free if no heartbeat comes, and else in use', async () => {
    const holder = { ...HERE, pid: process.pid, namespace: 'another' }
    let waited = 0
    const lock = async (then: (ms: number) => void = () => undefined): Promise<void> => {
      waited = 0
      const taken = await lockDirectory(folder.path, async (ms) => {
        waited += ms
        then(waited)
        return Promise.resolve()
      })
      taken.release()
    }
    pretend(holder)
    expect(directoryHolder(folder.path)).toEqual(holder)
    await lock()
    // The last second is for others that waited.
    expect(waited).toBe(21_000)
    pretend(holder, 15_000)
    await lock()
    expect(waited).toBe(11_000)
    pretend(holder)
    const heartbeat = (ms: number): void => {
      if (ms === 5_000) pretend(holder, 1_000)
    }
    await expect(lock(heartbeat)).rejects.toThrow(DirectoryInUse)
    pretend(holder)
    const release = (ms: number): void => {
      if (ms === 3_000) rmSync(file())
    }
    await lock(release)
    expect(waited).toBe(4_000)
    pretend({ ...HERE, pid: process.pid })
    await lock()
    expect(waited).toBe(0)
  })

  test('keeps its heartbeat while a statement keeps the process busy', async () => {
    const lock = await lockDirectory(folder.path)
    const { mtimeMs } = statSync(file())
    const until = machineClock().getTime() + 60_000
    while (statSync(file()).mtimeMs === mtimeMs && machineClock().getTime() < until);
    expect(statSync(file()).mtimeMs).toBeGreaterThan(mtimeMs)
    lock.release()
  })

  test('with a time ahead of the clock is free unless a heartbeat changes it', async () => {
    const waits: number[] = []
    const lock = async (then?: () => void): Promise<void> => {
      const taken = await lockDirectory(folder.path, async (ms) => {
        waits.push(ms)
        then?.()
        return Promise.resolve()
      })
      taken.release()
    }
    pretend({ pid: 1, host: 'another-container' }, -3_600_000)
    await lock()
    expect(waits).toHaveLength(21)
    for (const age of [-3_599_000, -5_000, 0]) {
      pretend({ pid: 1, host: 'another-container' }, -3_600_000)
      const heartbeat = (): void => {
        pretend({ pid: 1, host: 'another-container' }, age)
      }
      await expect(lock(heartbeat)).rejects.toThrow(DirectoryInUse)
    }
    expect(waits).toHaveLength(24)
    pretend({ pid: 1, host: 'another-container' }, -10_000)
    await expect(lock()).rejects.toThrow(DirectoryInUse)
    expect(waits).toHaveLength(24)
  })
})

describe('the embedded database', () => {
  let folder: ReturnType<typeof temporaryFolder>
  beforeEach(() => {
    folder = embeddedFolder('empty')
  })
  afterEach(() => {
    folder.remove()
  })

  const day = (n: number): Date => new Date(`2026-11-0${n}T03:41:00Z`)
  const dumpOf = (n: number): string => `tallyman-2026-11-0${n}.tar.gz`

  const openInitialised = async (): Promise<EmbeddedDatabase> => {
    const database = await openPglite(folder.path)
    await migrate(database.sql)
    database.markInitialised()
    return database
  }

  test('is opened again with its contents', async () => {
    const first = await openInitialised()
    await sql`insert into leases values ('kept', 'x', now())`.execute(first.sql)
    await first.close()
    const second = await openPglite(folder.path)
    expect((await sql`select name from leases`.execute(second.sql)).rows).toEqual([{ name: 'kept' }])
    await second.close()
  })

  test('that is gone or empty although it contained data stops the start', async () => {
    const database = await openInitialised()
    await database.close()
    rmSync(join(folder.path, 'db'), { recursive: true })
    await expect(openPglite(folder.path)).rejects.toThrow(DatabaseLost)
    await expect(openPglite(folder.path)).rejects.toThrow(/there is no dump in .*dumps.* remove .*initialised to begin/)

    const empty = embeddedFolder('empty')
    writeFileSync(join(empty.path, 'initialised'), '')
    await expect(openPglite(empty.path)).rejects.toThrow(DatabaseLost)
    empty.remove()
  })

  test('is dumped while it runs; the dump can be put back; only the newest are kept', async () => {
    const database = await openInitialised()
    await sql`insert into leases values ('dumped', 'x', now())`.execute(database.sql)
    const dump = await database.dump(day(3), 2)
    for (const n of [1, 2]) writeFileSync(join(folder.path, 'dumps', dumpOf(n)), '')
    await database.dump(day(4), 2)
    expect(readdirSync(join(folder.path, 'dumps')).sort()).toEqual([dumpOf(3), dumpOf(4)])
    expect(statSync(dump).mode & 0o777).toBe(0o600)
    await database.close()
  })

  test('has a short log after work that wrote a long one, as soon as the job of checkpoints ran', async () => {
    const database = await openInitialised()
    const log = (): number =>
      readdirSync(join(folder.path, 'db', 'pg_wal')).filter((name) => /^[0-9A-F]{24}$/.test(name)).length
    for (let n = 0; n < 10; n++)
      await sql`select pg_logical_emit_message(false, 't', repeat('x', ${8 * 2 ** 20}::int))`.execute(database.sql)
    expect(await checkpointIfDue(database.sql)).toBe(false)
    expect(log()).toBeGreaterThan(4)
    expect(await checkpointIfDue(database.sql, 64 * 2 ** 20)).toBe(true)
    expect(log()).toBeLessThan(3)
    await database.close()
  })

  test('is dumped in the middle of work: the dump has all of each transaction, or none of it', async () => {
    const database = await openInitialised()
    await sql`create table dumped (n int primary key, filler text)`.execute(database.sql)
    let next = 0
    let isOver = false
    const work = async (): Promise<void> => {
      while (!isOver) {
        const n = (next += 2)
        await database.transaction(async (tx) => {
          for (const one of [n, n + 1]) await sql`insert into dumped values (${one}, repeat('x', 2000))`.execute(tx)
        })
        if (n % 100 === 0) await sql`create table ${sql.table(`other_${n}`)} (n int)`.execute(database.sql)
      }
    }
    const working = work()
    const dump = await database.dump(day(1), 2)
    isOver = true
    await working
    await database.close()
    const restored = temporaryFolder('restored')
    mkdirSync(join(restored.path, 'db'))
    execFileSync('tar', ['-xzf', dump, '-C', join(restored.path, 'db')])
    const segments = readdirSync(join(restored.path, 'db', 'pg_wal')).filter((name) => /^[0-9A-F]{24}$/.test(name))
    expect(segments).toHaveLength(1)
    const back = await openPglite(restored.path)
    const { rows } = await sql<{ pairs: number; least: number; most: number }>`
      select count(*)::int as pairs, min(count)::int as least, max(count)::int as most
      from (select count(*) from dumped group by n / 2) pairs
    `.execute(back.sql)
    expect(rows).toEqual([{ pairs: expect.any(Number), least: 2, most: 2 }])
    await back.close()
    restored.remove()
    expect(readdirSync(join(folder.path, 'dumps'))).toEqual([dumpOf(1)])
  })

  test('is dumped with all of its log from the last checkpoint on, also across the end of a segment', async () => {
    const database = await openInitialised()
    const SEGMENT = 16 * 2 ** 20
    const emit = async (bytes: number): Promise<void> => {
      await sql`select pg_logical_emit_message(false, 't', repeat('x', ${bytes}::int))`.execute(database.sql)
    }
    const left = async (): Promise<number> => {
      const { rows } = await sql<{ used: string }>`
        select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn) % ${SEGMENT} as used
      `.execute(database.sql)
      return SEGMENT - Number(rows[0]?.used)
    }
    await sql`insert into leases values ('dumped', 'x', now())`.execute(database.sql)
    await sql`checkpoint`.execute(database.sql)
    // What a checkpoint writes takes more than 100 bytes.
    for (let rest = await left(); rest > 100; rest = await left()) await emit(Math.max(1, Math.floor(rest * 0.9) - 150))
    const dump = await database.dump(day(1), 2)
    await database.close()
    const restored = temporaryFolder('restored')
    mkdirSync(join(restored.path, 'db'))
    execFileSync('tar', ['-xzf', dump, '-C', join(restored.path, 'db')])
    const back = await openPglite(restored.path)
    expect((await sql`select name from leases`.execute(back.sql)).rows).toEqual([{ name: 'dumped' }])
    await back.close()
    restored.remove()
  })

  test('leaves nothing of a dump that failed, and the next one removes what a killed process left', async () => {
    const database = await openInitialised()
    const dumps = join(folder.path, 'dumps')
    mkdirSync(join(dumps, 'tallyman-2026-11-02.copy.part'), { recursive: true })
    writeFileSync(join(dumps, `${dumpOf(2)}.part`), '')
    writeFileSync(join(dumps, 'download.part'), 'not ours')
    mkdirSync(join(dumps, dumpOf(1), 'in the way'), { recursive: true })
    await expect(database.dump(day(1), 2)).rejects.toThrow(/tallyman-2026-11-01/)
    expect(readdirSync(dumps).sort()).toEqual(['download.part', dumpOf(1)])
    await database.close()
  })

  test.each([
    [
      'gone',
      (data: string) => {
        rmSync(data, { recursive: true })
      },
    ],
    [
      'empty',
      (data: string) => {
        cpSync(join(process.env.TALLYMAN_TEST_TEMPLATES ?? '', 'empty', 'db'), data, { recursive: true })
      },
    ],
  ])('that is %s comes back when the command in the message is run', async (_, lose) => {
    const database = await openInitialised()
    await sql`insert into leases values ('dumped', 'x', now())`.execute(database.sql)
    await database.dump(day(1), 2)
    writeFileSync(join(folder.path, 'dumps', 'tallyman-before-upgrade.tar.gz'), 'not ours')
    writeFileSync(join(folder.path, 'dumps', 'tallyman-2126-01-01.tar.gz'), 'of a clock that was ahead')
    await database.close()
    const data = join(folder.path, 'db')
    rmSync(data, { recursive: true })
    mkdirSync(data)
    lose(data)

    const lost = await openPglite(folder.path, { now: fixedClock }).then(undefined, (error: unknown) => error)
    expect(lost).toBeInstanceOf(DatabaseLost)
    const [, command = ''] = /\n {2}(.*)\n/.exec((lost as DatabaseLost).message) ?? []
    execFileSync('sh', ['-c', command])
    const back = await openPglite(folder.path)
    expect((await sql`select name from leases`.execute(back.sql)).rows).toEqual([{ name: 'dumped' }])
    await back.close()
  })
})

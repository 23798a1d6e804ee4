import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import pg from 'pg'
import { openPglite } from '../../src/storage/embedded/pglite.js'
import { openPostgres } from '../../src/storage/sql/postgres.js'
import { connectRedis } from '../../src/storage/sketches/redis-connection.js'
import { createRedisSketches } from '../../src/storage/sketches/redis-sketches.js'
import { createSqlSketches } from '../../src/storage/sketches/sql-sketches.js'
import { notified } from '../servers/app.js'
import { startPostgres, type PostgresServer } from '../servers/postgres.js'
import { eventually, temporaryFolder } from '../servers/process.js'
import { startRedis, type RedisServer } from '../servers/redis.js'
import {
  abandonLoads,
  askMeanwhile,
  expectedTruth,
  readTruth,
  sendLikeRegistries,
  type Load,
} from '../servers/registry-load.js'
import { runs } from '../servers/runs.js'
import { startService, USERS_KEY, type Service } from '../servers/service.js'
import { createSmallDisk, whyNoSmallDisk, type SmallDisk } from '../servers/small-disk.js'

/** As large as the database, a dump and the load need. */
const DISK_MEBIBYTES = 400
/** Fills the disk faster than registries would. */
const EVENTS_PER_REQUEST = 50
/** Moments that a usual run tries of each kind; all of them with `RUNS_FACTOR=10`. */
const usualMoments = <Moment>(moments: readonly Moment[]): readonly Moment[] => moments.slice(0, runs(1).numRuns)
const reason = whyNoSmallDisk()
if (reason !== undefined) console.warn(`Full disks are not tested here: ${reason}`)
const onSmallDisk = reason === undefined ? describe : describe.skip

const linesThatSayWhy = (output: string): string[] =>
  output.split('\n').filter((line) => /^tallyman: |"level":"fatal"/.test(line))

onSmallDisk('an embedded database on a disk that is full', () => {
  let disk: SmallDisk
  let service: Service | undefined
  beforeEach(() => {
    disk = createSmallDisk(DISK_MEBIBYTES)
    mkdirSync(data(), { mode: 0o700 })
  })
  afterEach(async () => {
    abandonLoads()
    await service?.process.end('SIGKILL')
    service = undefined
    disk.remove()
  })
  const data = (): string => join(disk.path, 'data')
  const start = async (): Promise<Service> => startService(data(), { TALLYMAN_USERS_KEY: USERS_KEY })
  const copyTemplate = (template: string): void => {
    cpSync(join(process.env.TALLYMAN_TEST_TEMPLATES ?? '', template), data(), { recursive: true })
  }

  const expectAllOnce = async (load: Load): Promise<void> => {
    await load.more(20)
    const names = await load.stop()
    await service?.process.end('SIGKILL')
    const database = await openPglite(data())
    const found = await readTruth(database, createSqlSketches(database))
    await database.close()
    expect(found).toEqual(expectedTruth(names))
  }

  /** What is in the data directory before a start, and mebibytes that are left then. */
  const STARTS: readonly [from: 'nothing' | 'empty' | 'migrated', left: number, when: string][] = [
    ['empty', 2, 'before the schema is made'],
    ['nothing', 0, 'before the first start'],
    ['nothing', 25, 'while the database is created'],
    ['migrated', 0, 'at a start with a database'],
  ]
  test.each(usualMoments(STARTS))(
    'from %s with %d MiB left, %s: the start ends with one line, and the next one works',
    async (from, left) => {
      if (from !== 'nothing') copyTemplate(from)
      disk.leave(left)
      const error = await start().then(
        (started) => (service = started),
        (refused: unknown) => refused,
      )
      expect(error).toBeInstanceOf(Error)
      const { message } = error as Error
      expect(message).toMatch(/^the service ended: /)
      expect(linesThatSayWhy(message.replace('the service ended: ', ''))).toEqual([expect.stringMatching(/disk|space/)])
      disk.free()
      const running = (service = await start())
      await expectAllOnce(sendLikeRegistries(() => running, EVENTS_PER_REQUEST))
    },
  )

  const makeDumpDue = async (): Promise<void> => {
    const database = await openPglite(data())
    await sql`
      insert into schedules (job, cron, time_zone, due_at) values ('dump', '41 3 * * *', 'UTC', '2020-01-01')
    `.execute(database.sql)
    await database.close()
  }
  const dumpBegins = async (): Promise<void> => {
    const dumps = join(data(), 'dumps')
    await eventually('a dump is written', async () =>
      Promise.resolve(existsSync(dumps) && readdirSync(dumps).some((name) => name.endsWith('.part'))),
    )
  }
  type Underway = { when: string; left: number; before?: () => Promise<void>; then?: () => Promise<unknown> }
  const UNDERWAY: Underway[] = [
    { when: 'at once', left: 0 },
    { when: 'soon', left: 20 },
    { when: 'and the service is stopped, at the last checkpoint', left: 1, then: async () => service?.process.end() },
    { when: 'while a dump is written', left: 0, before: dumpBegins },
    { when: 'within a segment of the log', left: 8 },
  ]
  test.each(usualMoments(UNDERWAY))(
    'under load, $when, with $left MiB left: 503 or a clean end, no hang, and nothing is lost',
    async ({ left, before, then }) => {
      copyTemplate('migrated')
      if (before) await makeDumpDue()
      let running = (service = await start())
      const asking = askMeanwhile(() => running)
      await before?.()
      const load = sendLikeRegistries(() => running, EVENTS_PER_REQUEST)
      if (!before) await load.more(20)
      disk.leave(left)
      await load.until(0, 503)
      await then?.()
      // More requests meet the full disk.
      await new Promise((resolve) => setTimeout(resolve, 5_000))
      const { child } = running.process
      disk.free()
      if (child.exitCode === null) {
        await Promise.race([load.more(20), new Promise((resolve) => child.once('exit', resolve))])
      }
      if (child.exitCode !== null || child.signalCode !== null) {
        expect(child.signalCode).toBe(null)
        if (!then) expect(linesThatSayWhy(running.process.output())).toHaveLength(1)
        running = service = await start()
      }
      await expectAllOnce(load)
      await asking.stop()
    },
  )
})

onSmallDisk('an embedded database on a disk on which no file can be created', () => {
  test('answers 503, and stores again when files can be created, without a restart', async () => {
    const disk = createSmallDisk(DISK_MEBIBYTES)
    const data = join(disk.path, 'data')
    cpSync(join(process.env.TALLYMAN_TEST_TEMPLATES ?? '', 'migrated'), data, { recursive: true })
    const service = await startService(data, { TALLYMAN_USERS_KEY: USERS_KEY })
    const store = async (): Promise<number> => {
      const events = Array.from({ length: EVENTS_PER_REQUEST }, () => notified())
      return (await service.notify({ events })).status
    }
    try {
      expect(await store()).toBe(200)
      disk.takeInodes()
      await eventually('a file is needed', async () => (await store()) === 503)
      expect(await store()).toBe(503)
      disk.free()
      await eventually('notifications are stored', async () => (await store()) === 200)
      expect((await fetch(`${service.url}/healthz`)).status).toBe(200)
    } finally {
      await service.process.end('SIGKILL')
      disk.remove()
    }
  })
})

onSmallDisk('PostgreSQL on a disk that is full', () => {
  let disk: SmallDisk
  let redis: RedisServer
  let postgres: PostgresServer
  let folder: ReturnType<typeof temporaryFolder>
  let service: Service | undefined
  beforeEach(async () => {
    disk = createSmallDisk(DISK_MEBIBYTES)
    folder = temporaryFolder('full-disk')
    const settings = ['max_wal_size=64MB', 'min_wal_size=32MB', 'autovacuum=off']
    ;[redis, postgres] = await Promise.all([startRedis(), startPostgres({ settings, parent: disk.path })])
  })
  afterEach(async () => {
    abandonLoads()
    await service?.process.end('SIGKILL')
    service = undefined
    await Promise.all([redis.stop(), postgres.stop()])
    disk.remove()
    folder.remove()
  })
  const start = async (): Promise<Service> =>
    startService(folder.path, {
      REDIS_URL: redis.url,
      DATABASE_URL: postgres.url,
    })
  const expectAllOnce = async (load: Load): Promise<void> => {
    await load.more(20)
    const names = await load.stop()
    const database = openPostgres(postgres.url)
    const sketches = createRedisSketches(connectRedis(redis.url))
    const found = await readTruth(database, sketches)
    await sketches.close()
    await database.close()
    expect(found).toEqual(expectedTruth(names))
  }
  /** PostgreSQL ends if it cannot write its log, and cannot start again without space. */
  const startPostgresAgain = async (): Promise<void> => {
    if (postgres.hasEnded()) await postgres.start()
  }

  test('before the schema is made: the service waits for space, and then starts', async () => {
    disk.leave(1)
    const starting = start()
    starting.catch(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, 5_000))
    disk.free()
    await startPostgresAgain()
    const running = (service = await starting)
    expect(running.process.output()).toContain('PostgreSQL does not answer yet')
    await expectAllOnce(sendLikeRegistries(() => running, EVENTS_PER_REQUEST))
  })

  const checkpoint = async (): Promise<void> => {
    const client = new pg.Client({ connectionString: postgres.url })
    client.on('error', () => undefined)
    // It fails if there is no space for it.
    await client
      .connect()
      .then(async () => client.query('checkpoint'))
      .catch(() => undefined)
    await client.end().catch(() => undefined)
  }
  /** Its successor waits for space, as at any start. */
  const restartService = async (): Promise<void> => {
    await service?.process.end('SIGKILL')
    const starting = start()
    starting.catch(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    disk.free()
    await startPostgresAgain()
    service = await starting
  }
  type Underway = { when: string; left: number; then?: () => Promise<unknown> }
  const UNDERWAY: Underway[] = [
    { when: 'at once', left: 0 },
    { when: 'soon', left: 20 },
    { when: 'and PostgreSQL is killed', left: 0, then: async () => postgres.kill() },
    { when: 'and at a checkpoint', left: 1, then: checkpoint },
    { when: 'within a segment of the log', left: 8 },
    { when: 'and PostgreSQL is stopped, at its last checkpoint', left: 0, then: async () => postgres.end() },
    { when: 'after two segments of the log', left: 40 },
    { when: 'and the service is killed', left: 3, then: restartService },
    { when: 'at the end of a segment of the log', left: 16 },
  ]
  test.each(usualMoments(UNDERWAY))(
    'under load, $when, with $left MiB left: 503, no hang, and nothing is lost',
    async ({ left, then }) => {
      const first = (service = await start())
      const running = (): Service => service ?? first
      const load = sendLikeRegistries(running, EVENTS_PER_REQUEST)
      const asking = askMeanwhile(running)
      await load.more(20)
      disk.leave(left)
      await load.until(503)
      await then?.()
      // More requests meet the full disk.
      await new Promise((resolve) => setTimeout(resolve, 5_000))
      disk.free()
      await startPostgresAgain()
      await expectAllOnce(load)
      await asking.stop()
      expect(running().process.child.exitCode).toBe(null)
    },
  )
})

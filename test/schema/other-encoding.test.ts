import { expect, test } from '@jest/globals'
import { Migrator, sql } from 'kysely'
import { migrate, MIGRATIONS } from '../../src/schema/migrate.js'
import { withoutTimeLimit } from '../../src/storage/sql/postgres.js'
import { notified, openApp, type TestApp } from '../servers/app.js'
import { createDatabase, takeRedisDatabase } from '../servers/shared.js'
import { openServers } from '../servers/stores.js'
import { tallyman } from '../servers/tallyman.js'
import { temporaryFolder } from '../servers/process.js'

const provider = { getMigrations: async () => Promise.resolve(MIGRATIONS) }

/** A database that an earlier version accepted. */
const installedOn = async (encoding: string): ReturnType<typeof createDatabase> => {
  const database = await createDatabase({ isMigrated: false, encoding })
  await withoutTimeLimit(database.url, async (db) => new Migrator({ db, provider }).migrateTo('0055-bound-sketches'))
  return database
}

const encodingWarningsOf = async (app: TestApp): Promise<string[]> => {
  const { warnings } = (await (await app.get('/status')).json()) as { warnings: string[] }
  return warnings.filter((warning) => warning.includes('encoding'))
}

test.each(['LATIN1', 'SQL_ASCII'])(
  'a new installation is refused on %s, and leaves nothing there',
  async (encoding) => {
    const { url, drop } = await createDatabase({ isMigrated: false, encoding })
    const folder = temporaryFolder('encoding')
    const environment = { DATABASE_URL: url, REDIS_URL: await takeRedisDatabase(), TALLYMAN_DATA_DIR: folder.path }
    const REFUSAL = new RegExp(
      `^tallyman: the database suite_[0-9a-f]+ has the encoding ${encoding}, .*expected UTF8: ` +
        `create another database with "create database NAME encoding 'UTF8' template template0", and name it in DATABASE_URL`,
    )
    for (const command of ['serve', 'migrate', 'status']) {
      const { code, err } = await tallyman(environment, command)
      expect([code, err]).toEqual([1, expect.stringMatching(REFUSAL)])
    }
    const tables = await withoutTimeLimit(url, async (db) =>
      sql`select tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`.execute(db),
    )
    expect(tables.rows).toEqual([])
    folder.remove()
    await drop()
  },
)

test('an installation of an earlier version on LATIN1 starts, and warns in the log and in the status', async () => {
  const { url, drop } = await installedOn('LATIN1')
  const app = await openApp({ DATABASE_URL: url, REDIS_URL: await takeRedisDatabase() })
  expect(await encodingWarningsOf(app)).toEqual([
    expect.stringMatching(/^the database suite_.* has the encoding LATIN1, not UTF8: .*not_storable.*pg_dump/),
  ])
  await app.close()
  expect(await withoutTimeLimit(url, migrate)).toEqual([])
  await drop()
})

test('an installation on SQL_ASCII loses no event, and its warning claims none', async () => {
  const { url, drop } = await installedOn('SQL_ASCII')
  const app = await openApp({ DATABASE_URL: url, REDIS_URL: await takeRedisDatabase() })
  const [warning] = await encodingWarningsOf(app)
  expect(warning).toMatch(/each byte of a text as a character/)
  expect(warning).not.toContain('not_storable')
  const response = await app.notify({ events: [notified({ actor: { name: 'Дмитрий', user_type: 'build' } })] })
  expect(await response.json()).toMatchObject({ recorded: 1 })
  await app.close()
  await drop()
})

test('a database in UTF8 and the embedded one give no warning', async () => {
  const servers = await openServers()
  for (const environment of [servers.environment, {}]) {
    const app = await openApp(environment)
    expect(await encodingWarningsOf(app)).toEqual([])
    await app.close()
  }
  await servers.close()
})

test('on LATIN1 an event that cannot be read is set aside, however long its texts are, and the others count', async () => {
  const { url, drop } = await installedOn('LATIN1')
  const app = await openApp({ DATABASE_URL: url, REDIS_URL: await takeRedisDatabase() })
  const unreadable = [
    notified({ target: { repository: 'Ω '.repeat(60), tag: '1.0' } }),
    notified({ target: { repository: 'x y'.repeat(60), tag: '1.0' } }),
  ]
  const response = await app.notify({ events: [...unreadable, notified()] })
  expect([response.status, await response.json()]).toEqual([200, expect.objectContaining({ recorded: 1 })])
  const { rows } = await withoutTimeLimit(url, async (db) =>
    sql<{ excerpt: string }>`select excerpt from rejected_events order by excerpt`.execute(db),
  )
  expect(rows.map(({ excerpt }) => (JSON.parse(excerpt) as { target: object }).target)).toEqual([
    { repository: `${'a '.repeat(50)}... (120 characters)`, tag: '1.0' },
    { repository: `${'a a'.repeat(33)}a... (180 characters)`, tag: '1.0' },
  ])
  await app.close()
  await drop()
})

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { notified } from '../servers/app.js'
import { machineClock } from '../servers/clock.js'
import { eventually, inherited, temporaryFolder } from '../servers/process.js'
import { ROOT, startService, type Service } from '../servers/service.js'
import { spawnTallyman, tallyman, type Result } from '../servers/tallyman.js'
import { startStub, type Stub } from '../servers/stub.js'
import { embeddedFolder, openServers } from '../servers/stores.js'

/** The service is a process of its own, and runs by the machine's clock. */
const started = machineClock()
const lastWeek = (): string => new Date(started.getTime() - 7 * 86_400_000).toISOString()
const day = (offset: number): string => new Date(started.getTime() + offset * 86_400_000).toISOString().slice(0, 10)
const TAG_USERS = 'i_container_registry_push_tag_user'

describe('a reader that disconnects, like head', () => {
  test.each([['metrics', 'docs'], ['inventory', '--help'], ['--version']])(
    'ends a command without a message: %s %s',
    async (...args) => {
      const child = spawn(process.execPath, [join(ROOT, 'dist', 'main.js'), ...args], {
        cwd: ROOT,
        env: inherited(),
      })
      child.stdout.destroy()
      const [err] = await Promise.all([text(child.stderr), once(child, 'exit')])
      expect([child.exitCode, err]).toEqual([141, ''])
    },
  )
})

describe('help', () => {
  test.each([
    [],
    ['serve'],
    ['status'],
    ['ping'],
    ['counters'],
    ['counters', 'unique'],
    ['counters', 'list'],
    ['counters', 'export'],
    ['counters', 'import'],
    ['metrics'],
    ['metrics', 'check'],
    ['metrics', 'docs'],
    ['inventory'],
    ['inventory', 'images'],
    ['pulls'],
    ['pulls', 'pullers'],
    ['pulls', 'behaviour'],
    ['pulls', 'forget'],
    ['clients', 'test'],
    ['sql'],
    ['registries'],
    ['registries', 'join'],
    ['migrate'],
  ])('tallyman %s %s --help explains itself', async (...command) => {
    const { code, out } = await tallyman({}, ...command.filter(Boolean), '--help')
    expect(code).toBe(0)
    expect(out).toMatch(/Usage: tallyman/)
    expect(out).toMatch(/Examples:\n {2}\$ /)
  })

  test('an unknown command and a missing option say what to do', async () => {
    expect(await tallyman({}, 'sing')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/unknown command 'sing'[^]*\(see tallyman --help\)\n$/),
    })
    expect(await tallyman({}, 'counters', 'unique')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/required option '-e, --events[^]*\(see tallyman counters unique --help\)\n$/),
    })
  })
})

test.each([
  ['--data-dir', 'data_dir is a setting: set TALLYMAN_DATA_DIR, or data_dir in tallyman.yml'],
  ['--database-url=x', 'database_url is a setting: set DATABASE_URL, or database_url in tallyman.yml'],
])('an option %s that is a setting is refused with the variable that sets it', async (option, advice) => {
  const { code, err } = await tallyman({}, 'serve', option)
  expect([code, err]).toEqual([1, expect.stringContaining(`(see tallyman serve --help)\n${advice}\n`)])
  expect((await tallyman({}, 'serve', '--nonsense')).err).toMatch(/unknown option '--nonsense'[^]*serve --help\)\n$/)
})

test.each([
  [['--help'], /tallyman inventory images\n[^]*tallyman pulls --period today/],
  [['sql', '--help'], /With the embedded stores, stop the service first, or set sql_route/],
  [['inventory', 'reconcile', '--help'], /--reread +read all manifests again: for platforms and subjects/],
])('the help of %j says what people look for', async (command, text) => {
  expect((await tallyman({}, ...command)).out.replaceAll(/\s*\n {10,}/g, ' ')).toMatch(text)
})

/** What every command answers, whether it asks the running service or opens the stores itself. */
describe.each([
  ['the embedded stores, in use by the running service', false],
  ['Redis and PostgreSQL, opened beside the running service', true],
])('commands on %s', (_, servers) => {
  const folder = embeddedFolder()
  let environment: Record<string, string>
  let opened: Awaited<ReturnType<typeof openServers>> | undefined
  let destination: Stub
  let service: Service

  beforeAll(async () => {
    opened = servers ? await openServers() : undefined
    destination = await startStub((_request, response) => response.end('{}'))
    environment = {
      TALLYMAN_DATA_DIR: folder.path,
      TALLYMAN_API_TOKENS: 'api-token',
      TALLYMAN_PING_URL: `${destination.url}/usage_data`,
      ...(opened?.environment ?? { TALLYMAN_SQL_ROUTE: 'true' }),
    }
    service = await startService(folder.path, environment)
    const by = (name: string, timestamp: string): unknown =>
      notified({ timestamp, actor: { name, user_type: 'build' } })
    await service.notify({
      events: [by('alice', lastWeek()), by('bob', lastWeek()), by('carol', started.toISOString())],
    })
    await service.notify({ events: [] }, { authorization: 'Bearer wrong' })
    await service.get('/status')
  })
  afterAll(async () => {
    await service.process.end()
    await Promise.all([opened?.close(), destination.stop()])
    folder.remove()
  })

  const unique = async (start: string, end: string, ...flags: string[]): ReturnType<typeof tallyman> =>
    tallyman(environment, 'counters', 'unique', '-e', TAG_USERS, '--start', start, '--end', end, ...flags)

  test('counters unique', async () => {
    const { out } = await tallyman(
      environment,
      'counters',
      'unique',
      '--events',
      TAG_USERS,
      '--start',
      day(-7),
      '--end',
      day(0),
    )
    expect(out).toMatch(
      new RegExp(
        `^2\nunique users \\(estimated, standard error 0\\.81 %\\) from {hll_counters}_${TAG_USERS}-\\d{4}-\\d\\d\n$`,
      ),
    )
    const json = await unique(day(-7), day(0), '--json')
    expect(JSON.parse(json.out)).toMatchObject({ value: 2, aggregation: 'weekly', event_names: [TAG_USERS] })
    const none = await unique(day(0), day(0), '--monthly')
    expect(none.out).toBe('-1\nno complete month lies between these days\n')
  })

  test('counters unique refuses what it does not know', async () => {
    const wrongDay = await unique('monday', day(0))
    expect(wrongDay).toMatchObject({
      code: 1,
      err: 'tallyman: --start: "monday" is not a day, expected one like 2026-11-21\n',
    })
    const wrongEvent = await tallyman(
      environment,
      'counters',
      'unique',
      '-e',
      'poems',
      '--start',
      day(-7),
      '--end',
      day(0),
    )
    expect(wrongEvent).toMatchObject({
      code: 1,
      err: expect.stringMatching(
        /^tallyman: --events: "poems" is not an event with unique users; "tallyman metrics docs"/,
      ),
    })
    expect(await unique('2026-12-23', '2026-12-01')).toMatchObject({
      code: 1,
      out: '',
      err: 'tallyman: --end: expected a day that is not before --start\n',
    })
  })

  test('counters list', async () => {
    const { out } = await tallyman(environment, 'counters', 'list')
    expect(out).toMatch(/^event +period +unique users\n/)
    expect(out).toMatch(new RegExp(`${TAG_USERS} +\\d{4}-\\d\\d +2\n`))
    const rows = JSON.parse((await tallyman(environment, 'counters', 'list', '--json')).out) as {
      event: string
      count: number
    }[]
    expect(rows.filter(({ event }) => event === TAG_USERS).length).toBeGreaterThanOrEqual(3)
  })

  test('ping prints a payload, and keeps and sends nothing', async () => {
    const { out } = await tallyman(environment, 'ping', '--print')
    expect(JSON.parse(out)).toMatchObject({
      counts: { i_container_registry_push: 3 },
      counts_weekly: { i_container_registry_push: 2 },
    })
    // With servers, the command makes the ping itself, and does not know how long the service has been running.
    const { uptime_seconds: uptime } = JSON.parse(out) as { uptime_seconds: number }
    expect(uptime === -1).toBe(servers)
    expect(destination.requests).toEqual([])
  })

  test('ping --send sends it', async () => {
    const { code, out } = await tallyman(environment, 'ping', '--send')
    expect(code).toBe(0)
    expect(JSON.parse(destination.requests[0]?.body ?? '')).toEqual(JSON.parse(out))
  })

  test('status shows what someone who looks after it wants to know', async () => {
    const { code, out } = await tallyman(environment, 'status')
    expect(code).toBe(0)
    expect(out).toMatch(/registry\.example +3 +\d{4}-\d\d-\d\d/)
    expect(out).toMatch(/401 1\n {2}401 is a wrong token/)
    expect(out).toMatch(/last +\d{4}-\d\d-\d\d .* UTC, sent \d{4}/)
    expect(out).toMatch(
      servers ? /postgresql \d+\.\d+ answers \(the server of DATABASE_URL\)\n {2}redis \d/ : /pglite \d+\.\d+ answers/,
    )
    expect(out).toContain('\n  0, of them 0 after more than half the join window\n')
    const { ping } = (await (await service.get('/status')).json()) as { ping: { next: string } }
    expect(out).toContain(`next    ${ping.next.slice(0, 19).replace('T', ' ')} UTC`)
    const json = JSON.parse((await tallyman(environment, 'status', '--json')).out) as unknown
    expect(json).toMatchObject({ refused: { 401: 1 }, joins: { joined: 0, joinedLate: 0 }, ping: { next: ping.next } })
  })

  test('counters export, and import into other stores', async () => {
    const exported = join(folder.path, 'counters.ndjson')
    expect((await tallyman(environment, 'counters', 'export', exported)).code).toBe(0)
    expect(statSync(exported).mode & 0o777).toBe(0o600)
    const other = embeddedFolder()
    const elsewhere = { TALLYMAN_DATA_DIR: other.path }
    expect(await tallyman(elsewhere, 'counters', 'import', exported)).toMatchObject({
      code: 1,
      err: expect.stringMatching(/counted with another key/),
    })
    writeFileSync(join(other.path, 'users.key'), readFileSync(join(folder.path, 'users.key')))
    const fresh = embeddedFolder()
    writeFileSync(join(fresh.path, 'users.key'), readFileSync(join(folder.path, 'users.key')))
    const moved = { TALLYMAN_DATA_DIR: fresh.path }
    expect((await tallyman(moved, 'counters', 'import', exported)).out).toMatch(
      /^imported sketch \d+, tally 3, repository 1, unresolved user 0\n$/,
    )
    expect((await tallyman(moved, 'counters', 'list')).out).toBe((await tallyman(environment, 'counters', 'list')).out)
    other.remove()
    fresh.remove()
  })

  test('inventory answers as a table, as JSON and as CSV, page by page or all', async () => {
    const digest = `sha256:${'a'.repeat(64)}`
    const target = {
      repository: 'team/app',
      digest,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      size: 2048,
    }
    await service.notify({
      events: ['1.0', '2.0'].map((tag) =>
        notified({
          timestamp: lastWeek(),
          action: 'pull',
          request: { host: 'registry.example', method: 'GET' },
          target: { ...target, tag },
        }),
      ),
    })
    const asked = async (...args: string[]): Promise<Result> => tallyman(environment, 'inventory', ...args)
    const table = await asked('manifests')
    expect(table.out).toMatch(/^registry +repository +digest/)
    expect(table.out).toMatch(/2\.0 KiB/)
    const first = await asked('images', '--limit', '1', '--json')
    const { items, next } = JSON.parse(first.out) as { items: { tag: string }[]; next: string }
    expect(items.map(({ tag }) => tag)).toEqual(['1.0'])
    expect((await asked('images', '--limit', '1')).err).toContain(`there is more: --cursor ${next}, or --all\n`)
    const rest = await asked('images', '--cursor', next, '--csv')
    expect(rest.out).toMatch(/^registry,repository,tag,digest,[^\n]*\r\nregistry.example,team\/app,2\.0,sha256:/)
    expect((await asked('images', '--all', '--csv')).out.split('\r\n')).toHaveLength(4)
    expect((await asked('refresh')).out).toBe('the summary is up to date\n')
    const noted = await asked('images', '--all', '--csv')
    expect(noted.out.split('\r\n')).toHaveLength(4)
    expect(noted.err).toMatch(/^note: contents of 1 manifests are unknown: add "includereferences: true"/)
    expect((await tallyman(environment, 'status')).out).toMatch(
      /contents of 1 manifests are unknown: .*\n +notifications:\n/,
    )
    expect((await asked('retry-reads')).out).toBe('0 manifests will be read again\n')
    expect((await asked('totals')).out).toMatch(/as of \d{4}-/)
    expect(await asked('old-images', '--older-than', 'soon')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^tallyman: .*older_than: is an age such as 90d/),
    })
  })

  test('sql answers one query, and refuses to write', async () => {
    const { out } = await tallyman(environment, 'sql', 'select 1 as one, null as none')
    expect(out).toMatch(/^one +none/)
    expect((await tallyman(environment, 'sql', "values ('=1+1', 'a,\"b')", '--csv')).out).toBe(
      'column1,column2\r\n\'=1+1,"a,""b"\r\n',
    )
    const limited = await tallyman(
      environment,
      'sql',
      'select n from generate_series(1, 3) n',
      '--json',
      '--limit',
      '2',
    )
    expect(JSON.parse(limited.out)).toEqual([{ n: 1 }, { n: 2 }])
    expect(limited.err).toMatch(/only the first 2 rows/)
    expect((await tallyman(environment, 'sql', 'select 1 as one where false')).out).toBe('no rows\n')
    expect((await tallyman(environment, 'sql', 'select * from inventory.tag')).err).toMatch(
      /does not exist; docs\/inventory\.md \("The schema"\) lists the tables and columns/,
    )
    expect(await tallyman(environment, 'sql', 'delete from tallies')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^tallyman: "delete" is refused: a statement can only read/),
    })
    expect(await tallyman(environment, 'sql', 'select pg_advisory_lock(1)')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^tallyman: pg_advisory_lock: no statement may contain this name/),
    })
  })

  test('sql ends a statement when its time is over, whoever runs the statement', async () => {
    // Takes longer than it is given, whatever the machine.
    const statement = `
      with recursive counted (n) as (
        select 1 union all select n + 1 from counted where clock_timestamp() < now() + interval '60 seconds'
      ) select count(*) from counted`
    expect(await tallyman(environment, 'sql', statement, '--timeout', '1')).toMatchObject({
      code: 1,
      err: expect.stringMatching(servers ? /due to statement timeout/ : /^tallyman: timed out: .* longer than 1 s\n$/),
    })
  })

  test('migrate and metrics check', async () => {
    if (servers) expect((await tallyman(environment, 'migrate')).out).toBe('the schema is up to date\n')
    else expect((await tallyman(environment, 'migrate')).err).toMatch(/in use by process/)
    expect((await tallyman(environment, 'metrics', 'check')).out).toMatch(
      /^28 events and 150 metrics are declared; all definitions are valid\n$/,
    )
  })

  test('registries lists them, and joins two while the service runs', async () => {
    const reported = (instanceID: string, host: string): unknown =>
      notified({ request: { host, method: 'PUT' }, source: { addr: 'r:5000', instanceID } })
    await service.notify({ events: [reported('one', 'a:5000'), reported('two', 'b:5000'), reported('one', 'b:5000')] })
    await service.get('/status')
    expect((await tallyman(environment, 'status')).out).toMatch(
      /conflict: a:5000 reported b:5000, a host of b:5000; 1 events, .*\n.*: tallyman registries join a:5000 b:5000\n/,
    )
    expect((await tallyman(environment, 'registries')).out).toMatch(
      /^registry .*\n(.*\n)*a:5000 +a:5000 +1 +2 +\d{4}-.* its processes\n/,
    )
    const join = ['registries', 'join', 'a:5000', 'b:5000']
    expect((await tallyman(environment, ...join, '--dry-run')).out).toMatch(
      /^a:5000 would become an alias of b:5000: 1 hosts/,
    )
    expect(JSON.parse((await tallyman(environment, ...join, '--json')).out)).toMatchObject({
      dryRun: false,
      hosts: ['a:5000'],
      processes: 1,
    })
    expect(await tallyman(environment, ...join)).toMatchObject({
      code: 1,
      err: 'tallyman: a:5000 and b:5000 are one registry already\n',
    })
    await eventually(
      'the service has noticed',
      async () => {
        await service.notify({ events: [reported('one', 'a:5000')] })
        const { registries } = (await (await service.get('/registries')).json()) as { registries: { name: string }[] }
        return !registries.some(({ name }) => name === 'a:5000')
      },
      120,
    )
    expect((await tallyman(environment, 'status')).out).not.toContain('conflict')
  })
})

describe('commands without a service', () => {
  test('sql ends a statement of the embedded database when its time is over, and leaves it as it was', async () => {
    const folder = embeddedFolder()
    const environment = { TALLYMAN_DATA_DIR: folder.path }
    expect(
      await spawnTallyman(environment, 'sql', 'select count(*) from generate_series(1, 200000000)', '--timeout', '1'),
    ).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^tallyman: the statement was ended: it took longer than 1 s/),
    })
    expect(readdirSync(folder.path)).not.toContain('tallyman.lock')
    expect((await spawnTallyman(environment, 'sql', 'select count(*) from tags', '--csv')).out).toBe('count\r\n0\r\n')
    expect(await spawnTallyman(environment, 'sql', 'delete from tallies')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^tallyman: "delete" is refused: a statement can only read/),
    })
    folder.remove()
  })

  test('dump writes a dump of the embedded database, and names its directory', async () => {
    const folder = embeddedFolder()
    expect(await spawnTallyman({ TALLYMAN_DATA_DIR: folder.path }, 'dump')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^a dump of \d{4}-\d\d-\d\d \S+ UTC is in \S+\/dumps\n$/),
    })
    expect(readdirSync(join(folder.path, 'dumps'))).toEqual([expect.stringMatching(/^tallyman-.*\.tar\.gz$/)])
    const unavailable = { TALLYMAN_DATA_DIR: folder.path, DATABASE_URL: 'postgres://u:secret@127.0.0.1:1/d' }
    expect((await tallyman(unavailable, 'dump')).err).toMatch(
      /^tallyman: only the embedded database .* with pg_dump\n$/,
    )
    folder.remove()
  })

  test('report every error of the configuration, and a store that does not answer', async () => {
    const wrong = await tallyman(
      { TALLYMAN_LISTEN: 'x', TALLYMAN_PING_URL: 'y', TALLYMAN_USER_TOKEN_KEY: '/nowhere.pem' },
      'serve',
    )
    expect(wrong).toMatchObject({
      code: 1,
      err: expect.stringMatching(
        /^tallyman: The configuration cannot be used:\n {2}TALLYMAN_LISTEN: .*\n {2}TALLYMAN_PING_URL: .*\n {2}TALLYMAN_USER_TOKEN_KEY: \/nowhere\.pem cannot be read/,
      ),
    })
    const folder = temporaryFolder('cli')
    const unavailable = await spawnTallyman(
      { TALLYMAN_DATA_DIR: folder.path, DATABASE_URL: 'postgres://u:secret@127.0.0.1:1/d' },
      'status',
    )
    expect(unavailable).toMatchObject({
      code: 1,
      err: expect.stringMatching(/PostgreSQL does not answer .*; check DATABASE_URL, and that the server runs/),
    })
    expect(unavailable.err).not.toContain('secret')
    folder.remove()
  })

  test('counters export and import name a path that cannot be used, and leave a file as it was', async () => {
    const folder = embeddedFolder()
    const environment = { TALLYMAN_DATA_DIR: folder.path }
    const refused = async (...args: string[]): Promise<void> => {
      const { code, err } = await tallyman(environment, 'counters', ...args)
      expect([code, err]).toEqual([
        1,
        expect.stringMatching(/^tallyman: \/.* cannot be (read|written): .* \(E[A-Z]+\)\n$/),
      ])
    }
    await refused('import', '/nowhere/counters.ndjson')
    await refused('import', folder.path)
    await refused('export', '/nowhere/counters.ndjson')
    await refused('export', folder.path)
    await refused('export', '/dev/full')

    const kept = join(folder.path, 'kept.ndjson')
    writeFileSync(kept, 'the export of yesterday')
    const unavailable = { ...environment, DATABASE_URL: 'postgres://u@127.0.0.1:1/d' }
    expect(await tallyman(unavailable, 'counters', 'export', kept)).toMatchObject({ code: 1 })
    expect(readFileSync(kept, 'utf8')).toBe('the export of yesterday')
    expect(readdirSync(folder.path).filter((name) => name.endsWith('.part'))).toEqual([])
    expect(await tallyman(environment, 'counters', 'export', kept)).toMatchObject({ code: 0, err: '' })
    expect(readFileSync(kept, 'utf8')).toMatch(/^{"kind":"tallyman-counters".*\n{"kind":"end".*\n$/)
    expect(readdirSync(folder.path).filter((name) => name.endsWith('.part'))).toEqual([])
    folder.remove()
  })

  test('report that the embedded database is lost, and how to restore it', async () => {
    const folder = temporaryFolder('lost')
    writeFileSync(join(folder.path, 'initialised'), '')
    const { code, err } = await tallyman({ TALLYMAN_DATA_DIR: folder.path }, 'status')
    expect(code).toBe(1)
    expect(err).toMatch(/^tallyman: the embedded database in .* is gone, although it contained data before/)
    expect(err).not.toMatch(/\n +at /)
    folder.remove()
  })

  test('metrics check names file, key and what was expected', async () => {
    const folder = temporaryFolder('metrics')
    mkdirSync(join(folder.path, 'counts_all'))
    writeFileSync(join(folder.path, 'counts_all', 'mine.yml'), 'key_path: a\ndescription: d\nstatus: active\n')
    const { code, err } = await tallyman({ TALLYMAN_METRICS_DIR: folder.path }, 'metrics', 'check')
    expect(code).toBe(1)
    expect(err).toMatch(/counts_all\/mine\.yml: value_type is missing/)
    const serve = await tallyman({ TALLYMAN_METRICS_DIR: folder.path, TALLYMAN_DATA_DIR: folder.path }, 'serve')
    expect(serve).toMatchObject({ code: 1, err: expect.stringMatching(/counts_all\/mine\.yml: time_frame is missing/) })
    folder.remove()
  })

  test('metrics docs prints every metric and event', async () => {
    const { out } = await tallyman({}, 'metrics', 'docs')
    expect(out).toContain(`| \`redis_hll_counters.user_container_registry.${TAG_USERS}_weekly\` |`)
    expect(out).toBe(readFileSync(join(ROOT, 'docs', 'metrics.md'), 'utf8'))
  })
})

import { afterEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { MOST_HOSTS_OF_REGISTRY } from '../../src/registries/learned.js'
import { notified, openApp, type TestApp } from '../servers/app.js'
import { eventually } from '../servers/process.js'
import { embeddedFolder } from '../servers/stores.js'

let app: TestApp
afterEach(async () => app.close())

const MANIFEST = {
  tag: '1.0',
  digest: `sha256:${'a1'.repeat(32)}`,
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
}
/** Events are of a day before the clock of each service. */
const NOW = new Date('2026-11-21T12:00:00Z')
const LATER = '2026-11-20T10:00:01Z'
const open = async (environment: Record<string, string> = {}): Promise<TestApp> => openApp(environment, () => NOW)

const body = async (path: string): Promise<Record<string, unknown>> =>
  (await (await app.get(path)).json()) as Record<string, unknown>

/** An event of a registry process, whose client wrote a host. */
const reported = (instanceID: string | undefined, host: string | undefined, event: object = {}): object =>
  notified({
    request: { host, method: 'PUT', useragent: 'docker/24' },
    source: { addr: 'registry-0:5000', instanceID },
    timestamp: '2026-11-20T10:00:00Z',
    target: { repository: 'team/app', ...MANIFEST },
    ...event,
  })
const notify = async (events: object[], token?: string): Promise<void> => {
  const response = await app.notify({ events }, token === undefined ? {} : { authorization: `Bearer ${token}` })
  expect(response.status).toBe(200)
}
const registriesIn = async (question: string): Promise<unknown[]> =>
  ((await body(`/inventory/${question}`)).items as { registry: string }[]).map(({ registry }) => registry)
const receptions = async (): Promise<unknown> =>
  ((await body('/status')).registries as { registry: string; events: number }[])
    .map(({ registry, events }) => [registry, events])
    .sort()

describe('the registry of an event', () => {
  test('is that of its process: a tag that is deleted through an inner address is gone', async () => {
    app = await open()
    await notify([reported('one', 'registry.example.com')])
    await notify([
      reported('one', 'registry:5000', {
        action: 'delete',
        target: { repository: 'team/app', tag: '1.0' },
        timestamp: LATER,
      }),
    ])
    expect(await registriesIn('images')).toEqual([])
    expect(await registriesIn('deletions')).toEqual(['registry.example.com'])
    expect(await receptions()).toEqual([['registry.example.com', 2]])
  })

  test('is one in every number, whatever hosts clients wrote', async () => {
    app = await open()
    await notify(['a:5000', 'b:5000', 'evil.example'].map((host) => reported('one', host)))
    const { counts } = (await body('/usage_data/service_ping')) as { counts: Record<string, number> }
    expect(counts).toMatchObject({ repositories_seen: 1 })
    expect(await receptions()).toEqual([['a:5000', 3]])
    expect(await registriesIn('repositories')).toEqual(['a:5000'])
  })

  test('is that which its token names', async () => {
    app = await open({
      TALLYMAN_NOTIFICATION_TOKENS: '{"One.example": ["tmOne", "tmNext"], "two.example": "tmTwo", "inner": "tmInner"}',
      TALLYMAN_REGISTRIES: '{"one.example": ["inner"]}',
    })
    // Two machines, both known to their clients as localhost:5000.
    await notify([reported('p1', 'localhost:5000')], 'tmOne')
    await notify([reported('p2', 'localhost:5000')], 'tmTwo')
    await notify([reported('p1', 'localhost:5000'), reported('p3', undefined)], 'tmNext')
    await notify([reported('p4', 'two.example')], 'tmInner')
    expect(await receptions()).toEqual([
      ['one.example', 4],
      ['two.example', 1],
    ])
    expect(
      ((await body('/registries')).registries as { name: string; identifiedBy: string }[])
        .map(({ name, identifiedBy }) => [name, identifiedBy])
        .sort(),
    ).toEqual([
      ['one.example', 'token'],
      ['two.example', 'token'],
    ])
    expect(await body('/status')).not.toHaveProperty('identity.advice')
    expect(app.log().join()).not.toMatch(/tm(One|Two|Next|Inner)/)
  })

  test.each(['host', 'process'])('is one where the configuration names all its hosts, by %s', async (mode) => {
    app = await open({
      TALLYMAN_REGISTRY_IDENTITY: mode,
      TALLYMAN_REGISTRIES: '{"registry.example.com":["registry:5000","10.0.0.5:5000"]}',
    })
    const push = ['registry:5000', 'registry.example.com', '10.0.0.5:5000'].map((host) => reported('one', host))
    const remove = reported('one', 'registry:5000', {
      action: 'delete',
      target: { repository: 'team/app', tag: '1.0' },
      timestamp: LATER,
    })
    await notify([...push, remove])
    expect(await receptions()).toEqual([['registry.example.com', 4]])
    const { counts } = (await body('/usage_data/service_ping')) as { counts: Record<string, number> }
    expect(counts).toMatchObject({ repositories_seen: 1, registries_seen: 1 })
    expect(await registriesIn('images')).toEqual([])
    expect(await registriesIn('tag-history?repository=team/app&tag=1.0')).toEqual(
      Array.from({ length: 4 }, () => 'registry.example.com'),
    )
  })

  test('is that of its host where the setting says so', async () => {
    app = await open({ TALLYMAN_REGISTRY_IDENTITY: 'host' })
    await notify([reported('one', 'a:5000'), reported('one', 'b:5000')])
    expect(await receptions()).toEqual([
      ['a:5000', 1],
      ['b:5000', 1],
    ])
    expect((await body('/status')).identity).toMatchObject({ mode: 'host', because: 'setting' })
  })
})

test('what was recorded by host moves when the setting changes and hosts turn out to be one process', async () => {
  const folder = embeddedFolder()
  const environment = { TALLYMAN_DATA_DIR: folder.path }
  try {
    app = await open({ ...environment, TALLYMAN_REGISTRY_IDENTITY: 'host' })
    // Two hosts: a repository that both have, and one that only the second has.
    const event = (host: string, repository: string, action = 'push'): object =>
      reported('one', host, { action, target: { repository, ...MANIFEST } })
    const events = [event('a:5000', 'x'), event('b:5000', 'x'), event('b:5000', 'y'), event('b:5000', 'y', 'pull')]
    await notify(events)
    expect((await registriesIn('images')).sort()).toEqual(['a:5000', 'b:5000', 'b:5000'])
    await app.close()

    app = await open({ ...environment, TALLYMAN_REGISTRY_IDENTITY: 'process' })
    // Previous deliveries arrive again: they are repeated events and do not count again.
    expect(await (await app.notify({ events })).json()).toEqual({ recorded: 0, repeated: 4, skipped: {} })
    await eventually(
      'all is of one registry',
      async () => {
        const { counts } = (await body('/usage_data/service_ping')) as { counts: Record<string, number> }
        const { rows } = await sql`select registry from pulls.pending`.execute(app.app.core.stores.database.sql)
        return (
          counts.repositories_seen === 2 &&
          counts.registries_seen === 1 &&
          (await registriesIn('images')).join() === 'a:5000,a:5000' &&
          JSON.stringify(rows) === '[{"registry":"a:5000"}]'
        )
      },
      120,
    )
    expect(await receptions()).toEqual([['a:5000', 8]])
  } finally {
    await app.close()
    folder.remove()
    app = await open()
  }
})

test('a registry of which no more hosts are learned is in the status', async () => {
  app = await open()
  await notify([reported('one', 'a:5000')])
  const db = app.app.core.stores.database.sql
  await sql`
    insert into registry_hosts (host, registry, first_heard_at, last_heard_at, revision)
    select 'h' || n, 'a:5000', ${NOW}, ${NOW}, 1000 from generate_series(2, ${MOST_HOSTS_OF_REGISTRY}::int) n
  `.execute(db)
  await sql`update registry_identity set revision = 1000`.execute(db)
  await app.app.core.identity.refresh()
  expect((await body('/status')).identity).toMatchObject({ full: ['hosts of a:5000'] })
})

describe('two registries in conflict', () => {
  test('are reported, and one when they were joined, with all that was recorded', async () => {
    app = await open()
    await notify([reported('one', 'a:5000'), reported('two', 'b:5000'), reported('one', 'b:5000')])
    expect(await receptions()).toEqual([
      ['a:5000', 2],
      ['b:5000', 1],
    ])
    expect((await body('/status')).identity).toMatchObject({
      mode: 'process',
      because: 'new installation',
      conflicts: [{ registry: 'a:5000', other: 'b:5000', events: 1, remedy: 'tallyman registries join a:5000 b:5000' }],
      advice: expect.stringContaining('notification_tokens: {'),
    })
    expect(await (await app.get('/metrics')).text()).toContain('\ntallyman_registry_conflicts 1\n')

    const join = { from: 'a:5000', into: 'b:5000' }
    const dry = (await (await app.post('/registries/join', { ...join, dry_run: true })).json()) as object
    expect(dry).toMatchObject({ dryRun: true, hosts: ['a:5000'], processes: 1, repositories: 1, inBoth: 1 })
    expect((await body('/status')).identity).toMatchObject({ conflicts: [{ registry: 'a:5000' }] })
    expect(await (await app.post('/registries/join', join)).json()).toEqual({ ...dry, dryRun: false })
    await notify([reported('one', 'a:5000')])
    await eventually(
      'all is of one registry',
      async () => {
        const { counts } = (await body('/usage_data/service_ping')) as { counts: Record<string, number> }
        return counts.repositories_seen === 1 && (await registriesIn('images')).join() === 'b:5000'
      },
      120,
    )
    const isOne = async (): Promise<boolean> => JSON.stringify(await receptions()) === '[["b:5000",4]]'
    await eventually('it is one in the status', isOne, 120)
    expect((await body('/status')).identity).toMatchObject({ conflicts: [] })
    expect(await (await app.get('/metrics')).text()).toContain('\ntallyman_registry_conflicts 0\n')
  })

  test('that cannot be joined are refused with the reason', async () => {
    app = await open()
    const refused = await app.post('/registries/join', { from: 'a', into: 'b' })
    expect([refused.status, await refused.json()]).toEqual([
      400,
      { message: '400 Bad Request: a is an unknown registry; "tallyman registries" lists the known ones' },
    ])
    expect((await app.post('/registries/join', { from: 'a' })).status).toBe(400)
    expect((await app.get('/registries', {})).status).toBe(401)
  })
})

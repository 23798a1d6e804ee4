import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { isoWeekOf, microsOf, monthOf, type Micros } from '../../src/events/calendar.js'
import { monthName, weekName } from '../../src/counters/keys.js'
import type { Database } from '../../src/storage/sql/database.js'
import { openPglite } from '../../src/storage/embedded/pglite.js'
import { openPostgres } from '../../src/storage/sql/postgres.js'
import { notified } from '../servers/app.js'
import { startDockerRegistry, type DockerRegistry } from '../servers/docker-registry.js'
import { eventually } from '../servers/process.js'
import { NOTIFICATION_TOKEN, startService, type Service } from '../servers/service.js'
import { embeddedFolder, openServers } from '../servers/stores.js'

type Pair = {
  environment: Record<string, string>
  /** Opens the SQL database beside the service, or after it. */
  open: (dataDir: string) => Promise<Database>
  stop: () => Promise<void>
}

const PAIRS: [string, () => Promise<Pair>][] = [
  [
    'Redis and PostgreSQL',
    async () => {
      const { environment, close } = await openServers()
      return { environment, open: async () => Promise.resolve(openPostgres(environment.DATABASE_URL)), stop: close }
    },
  ],
  [
    'the embedded stores',
    async () => Promise.resolve({ environment: {}, open: openPglite, stop: async () => Promise.resolve() }),
  ],
]

const X = 'i_container_registry_'

describe.each(PAIRS)('a real registry is counted in %s', (_, start) => {
  const folder = embeddedFolder()
  let pair: Pair
  let service: Service
  let registry: DockerRegistry
  let began: Micros

  beforeAll(async () => {
    pair = await start()
    service = await startService(folder.path, pair.environment)
    registry = await startDockerRegistry({
      notify: { endpoint: `${service.url}/container_registry_event/events`, token: NOTIFICATION_TOKEN },
    })
    began = microsOf(await registry.now())
  })
  afterAll(async () => {
    await registry.stop()
    await service.process.end('SIGTERM')
    await pair.stop()
    folder.remove()
  })

  /** Totals of the ping, as far as they are above nothing. */
  const totals = async (): Promise<Record<string, number>> => {
    const { counts } = (await (await service.get('/usage_data/service_ping')).json()) as {
      counts: Record<string, number>
    }
    const all = Object.entries(counts).filter(([name, value]) => name.startsWith(X) && value > 0)
    return Object.fromEntries(all.map(([name, value]) => [name.slice(X.length), value]))
  }
  /** Waits until the totals are these: notifications come after the client has its answer. */
  const expectTotals = async (expected: Record<string, number>): Promise<void> => {
    await eventually(
      'the totals',
      async () => JSON.stringify(sorted(await totals())) === JSON.stringify(sorted(expected)),
    ).catch(() => undefined)
    expect(await totals()).toEqual(expected)
  }
  const sorted = (record: object): [string, unknown][] => Object.entries(record).sort()
  /** Unique users per event in this week, as `push_tag_actor: 2`. */
  const uniques = async (period: string): Promise<Record<string, number>> => {
    const counters = Object.entries(await service.counters()).filter(([name]) => name.endsWith(`-${period}`))
    return Object.fromEntries(counters.map(([name, count]) => [name.slice(X.length, -period.length - 1), count]))
  }

  test('pushes, pushes again, tags, pulls, checks and deletes', async () => {
    await registry.copy('layout:one', 'registry:team/app:1.0', 'alice', '--format', 'v2s2')
    await expectTotals({ push: 4 })

    // The same image again: skopeo finds every blob there and writes the manifest anew.
    await registry.copy('layout:one', 'registry:team/app:1.0', 'bob', '--format', 'v2s2')
    await expectTotals({ push: 5, check: 3 })

    await registry.copy('registry:team/app:1.0', 'registry:team/app:latest', 'alice')
    await expectTotals({ push: 6, check: 6, pull: 2 })

    await registry.copy('registry:team/app:1.0', 'folder:pulled', 'bob')
    await expectTotals({ push: 6, check: 6, pull: 6 })

    expect(await registry.ask('HEAD', '/v2/team/app/manifests/1.0')).toBe(200)
    await expectTotals({ push: 6, check: 7, pull: 6 })

    // An index of two platforms: the shared layer is found in team/app and mounted (twice a HEAD), four blobs and three manifests are new.
    await registry.copy('layout:both', 'registry:team/multi:3', 'alice', '--all', '--format', 'oci')
    await expectTotals({ push: 13, check: 9, pull: 6, mount: 1 })

    // The manifest goes, and with it both of its tags.
    await registry.remove('team/app:1.0', 'bob')
    await eventually('the delete is counted', async () => (await totals()).delete === 3)
    expect(await totals()).toMatchObject({ delete: 3, delete_manifest: 1 })

    const week = weekName(isoWeekOf(began))
    expect(await uniques(week)).toEqual({
      create_repository_actor: 1,
      push_repository_actor: 1,
      push_tag_actor: 2,
      pull_tag_actor: 2,
      pull_repository_actor: 2,
      delete_tag_actor: 1,
      delete_repository_actor: 1,
    })
    expect(await uniques(monthName(monthOf(began)))).toEqual(await uniques(week))
  })

  test('the registry is known by the name its clients use, and nothing was refused or skipped', async () => {
    const status = (await (await service.get('/status')).json()) as Record<string, unknown>
    expect(status).toMatchObject({ registries: [{ registry: registry.host }], skips: {}, refused: {} })
  })

  test('no address, no user agent and no token of a client is kept anywhere', async () => {
    const secrets = {
      request: { host: registry.host, addr: '203.0.113.9:1234', useragent: 'podman/4.3.1', method: 'PUT' },
      actor: { name: 'alice', user: 'header.payload.signature' },
    }
    const events = ['push', 'sing'].map((action) => ({ ...notified({ action }), ...secrets }))
    expect((await service.notify({ events })).status).toBe(200)
    expect((await fetch(`${service.url}/container_registry_event/events`, { method: 'POST' })).status).toBe(401)
    const exported = await (await service.get('/usage_data/counters/export')).text()
    // So that all is written, and the embedded database can be opened.
    await service.process.end('SIGTERM')
    const tables = await rowsOfAllTables(await pair.open(folder.path))
    for (const kind of ['receptions', 'refused:401', 'unknown_action', 'team/app']) expect(tables).toContain(kind)
    expect(exported).toContain('team/app')
    // The registry's own name is an address here. In sketches nothing can be read, but any three letters may stand.
    const kept = (tables + exported).replaceAll(registry.host, '').replace(/"(?:bytes|value)":"[^"]*"/g, '')
    expect(kept).not.toMatch(/127\.0\.0\.1|203\.0\.113|skopeo|podman|alice|bob|signature|notification-token|api-token/)
  })
})

/** Every row of every table as JSON, each behind the table's name. */
const rowsOfAllTables = async (database: Database): Promise<string> => {
  const tables = await sql<{ name: string }>`
    select tablename as name from pg_tables where schemaname = 'public' order by tablename
  `.execute(database.sql)
  const lines = []
  for (const { name } of tables.rows) {
    const { rows } = await sql<{ row: string }>`select to_json(t)::text as row from ${sql.table(name)} as t`.execute(
      database.sql,
    )
    lines.push(...rows.map(({ row }) => `${name} ${row}`))
  }
  await database.close()
  return lines.join('\n')
}

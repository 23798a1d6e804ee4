import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import type { Database } from '../../src/storage/sql/database.js'
import { openPostgres } from '../../src/storage/sql/postgres.js'
import { notified } from '../servers/app.js'
import { eventually } from '../servers/process.js'
import { SEED } from '../servers/runs.js'
import { startService, type Service } from '../servers/service.js'
import { embeddedFolder, openServers } from '../servers/stores.js'

const LONG_AGO = '2026-01-01T00:00:00Z'
const IMAGE = 'application/vnd.oci.image.manifest.v1+json'
const digest = (name: string): string => `sha256:${Buffer.from(name).toString('hex').padStart(64, '0')}`
const layer = (name: string): object => ({ digest: digest(name), mediaType: 'application/octet-stream', size: 10 })
const image = (name: string, layers: readonly string[], repository = 'team/app'): Record<string, unknown> =>
  notified({
    target: {
      repository,
      tag: name,
      digest: digest(name),
      mediaType: IMAGE,
      size: 7,
      url: `http://registry.example/v2/${repository}/manifests/${digest(name)}`,
      references: layers.map(layer),
    },
  })

describe('the inventory of two services over one PostgreSQL', () => {
  const folders = [embeddedFolder(), embeddedFolder()] as const
  const registriesFile = join(folders[0].path, 'registries.json')
  let servers: Awaited<ReturnType<typeof openServers>>
  let database: Database
  let services: [Service, Service]
  beforeAll(async () => {
    servers = await openServers()
    writeFileSync(registriesFile, '{}')
    const environment = {
      ...servers.environment,
      TALLYMAN_LARGEST_BODY_BYTES: '67108864',
      TALLYMAN_REGISTRIES_FILE: registriesFile,
      TALLYMAN_USERS_KEY: 'a key of both services',
    }
    const first = await startService(folders[0].path, environment)
    services = [first, await startService(folders[1].path, environment)]
    database = openPostgres(servers.environment.DATABASE_URL)
  })
  afterAll(async () => {
    await Promise.all(services.map(async ({ process }) => process.end()))
    await database.close()
    await servers.close()
    for (const folder of folders) folder.remove()
  })

  const count = async (query: string): Promise<number> => {
    const { rows } = await sql<{ count: string }>`${sql.raw(query)}`.execute(database.sql)
    return Number(rows[0]?.count)
  }
  const column = async (query: string): Promise<string[]> => {
    const { rows } = await sql<{ found: string }>`${sql.raw(query)}`.execute(database.sql)
    return rows.map(({ found }) => found).sort()
  }
  const liveBlobs = async (): Promise<string[]> =>
    column(`
      select r.name || ' ' || b.digest as found
      from inventory.repository_blobs b join inventory.repositories r on r.id = b.repository_id where b.live`)
  const blobsOfManifests = async (): Promise<string[]> =>
    column(`
      select distinct r.name || ' ' || b.digest as found
      from inventory.repository_manifests m
        join inventory.manifest_blobs b on b.manifest_digest = m.digest
        join inventory.repositories r on r.id = m.repository_id
      where m.live`)
  /** Sends as registries do, until the answer is 200: on a busy machine the database may take longer than they wait. */
  const send = async (events: unknown[], to = services[0]): Promise<unknown> => {
    let answer: unknown
    await eventually('the events are stored', async () => {
      const response = await to.notify({ events })
      answer = await response.json()
      return response.status === 200
    })
    return answer
  }

  test('takes layers in any order on 32 connections, and loses nothing', async () => {
    const layers = Array.from({ length: 12 }, (_, i) => `layer-${i}`)
    const some = fc.shuffledSubarray(layers, { minLength: 6 })
    const orders = fc.sample(some, { seed: SEED, numRuns: 960 })
    const lines = Array.from({ length: 32 }, async (_, line) => {
      for (let i = line; i < orders.length; i += 32) {
        const order = orders[i] ?? []
        const repository = `team/app-${i % 3}`
        const blobs = order.map((name) =>
          notified({
            target: { ...layer(name), repository, url: `http://r/v2/${repository}/blobs/${digest(name)}` },
          }),
        )
        // Of a time before all pushes: it takes the row of the blob, and ends nothing.
        const gone = notified({
          action: 'delete',
          timestamp: LONG_AGO,
          target: { repository, digest: digest(order[0] ?? '') },
        })
        await send([...blobs.slice(0, 3), image(`image-${i}`, order, repository), gone], services[i % 2 === 0 ? 0 : 1])
      }
    })
    await Promise.all(lines)
    expect(await count('select count(*) from inventory.repository_manifests where live')).toBe(960)
    expect(await count('select count(*) from inventory.manifest_blobs')).toBe(orders.flat().length)
    expect(await count("select count(*) from inventory.tags where name like 'image-%'")).toBe(960)
    const parts = orders.map((order, i) => order.map((name) => `team/app-${i % 3} ${digest(name)}`)).flat()
    expect(await liveBlobs()).toEqual([...new Set(parts)].sort())
    expect(await blobsOfManifests()).toEqual(await liveBlobs())
    // Five events each: three blobs, the image, a delete.
    expect(await count('select count(*) from event_ids')).toBe(5 * 960)
  })

  test('sets hostile events aside and keeps their neighbours', async () => {
    const hostile = [
      notified({ target: { repository: 'team/app', digest: `sha256:${'0'.repeat(63)}\0` } }),
      notified({ target: { repository: 'team/app', tag: 'x'.repeat(1_048_576), digest: digest('x') } }),
      notified({ target: { repository: 'team/app', digest: 'sha256:../../etc/passwd' } }),
      notified({ target: { repository: '../../team', digest: digest('x') } }),
      notified({ target: { repository: 'team/app', tag: 'a\0b', digest: digest('x') } }),
    ]
    const answer = await send([image('before', ['layer-0']), ...hostile, image('after', ['layer-1'])])
    expect(answer).toMatchObject({ recorded: 2, skipped: { nul_character: 2, too_long: 1 } })
    expect(await count("select count(*) from inventory.live_tags where name in ('before', 'after')")).toBe(2)
  })

  test('takes what is strange in an event, as long as it can be stored', async () => {
    const strange = {
      repository: 'team/strange',
      tag: 'strange',
      digest: digest('strange'),
      mediaType: `x/${'y'.repeat(5_000)}`,
      size: -1,
      url: `http://registry.example/v2/team/strange/manifests/${digest('strange')}`,
      references: Array.from({ length: 2_000 }, (_, i) => ({
        digest: digest(`part-${i}`),
        size: 1e300,
        mediaType: {},
      })),
    }
    expect(
      await send([notified({ target: strange, request: { host: 'evil host\u0001', method: 'PUT' } })]),
    ).toMatchObject({ recorded: 1 })
    // Neither the type nor the entries show whether it is an image or an index.
    expect(
      await count(`select count(*) from inventory.manifest_blobs where manifest_digest = '${digest('strange')}'`),
    ).toBe(0)
    expect(
      await count(
        `select count(*) from inventory.manifests where digest = '${digest('strange')}' and not contents_known`,
      ),
    ).toBe(1)
    expect(
      await count("select count(*) from inventory.live_tags where registry = 'unknown' and name = 'strange'"),
    ).toBe(1)
  })

  test('takes 50,000 events in one envelope', async () => {
    const events = Array.from({ length: 50_000 }, (_, i) =>
      image(`many-${i}`, [`layer-${i % 7}`], `many/app-${i % 100}`),
    )
    const { recorded, repeated } = (await send(events)) as { recorded: number; repeated: number }
    expect(recorded + repeated).toBe(50_000)
    expect(await count("select count(*) from inventory.live_tags where repository like 'many/%'")).toBe(50_000)
  })

  test('gives a registry its aliases when their file changes, and at once on SIGHUP', async () => {
    const from = (host: string, tag: string): Record<string, unknown> => ({
      ...image(tag, ['layer-0'], 'aliased'),
      request: { host, method: 'PUT' },
    })
    const registries = `select count(*) from inventory.live_tags where repository = 'aliased' and registry = 'named.example'`
    await send([from('10.0.0.5:5000', 'one')])
    writeFileSync(registriesFile, '{"named.example": ["10.0.0.5:5000"]}')
    await eventually('what came before moves to the name', async () => (await count(registries)) === 1)
    // Whichever of the services has read the file first may have moved it; the other may still store under the alias.
    await send([from('10.0.0.5:5000', 'two')])
    await eventually("what came then is the name's as well", async () => (await count(registries)) === 2)
    writeFileSync(registriesFile, '{"named.example": ["10.0.0.5:5000", "10.0.0.6:5000"]}')
    services[0].process.child.kill('SIGHUP')
    await eventually('an event of the new alias is told of the name', async () => {
      await send([from('10.0.0.6:5000', 'three')])
      return (await count(registries)) === 3
    })
  })
})

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { isDeepStrictEqual, promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { createRegistryClient } from '../../src/registries/client/http-registry-client.js'
import { reconcile } from '../../src/inventory/reconcile/reconcile.js'
import type { Database } from '../../src/storage/sql/database.js'
import { openPostgres } from '../../src/storage/sql/postgres.js'
import { machineClock } from '../servers/clock.js'
import { startDockerRegistry, type DockerRegistry } from '../servers/docker-registry.js'
import { fortyThreeSteps } from '../servers/forty-three-steps.js'
import { digestsIn, liveIn } from '../servers/inventory.js'
import { eventually, freePort, inherited } from '../servers/process.js'
import { registryAnswers } from '../servers/registry-answers.js'
import { NOTIFICATION_TOKEN, ROOT, startService, type Service } from '../servers/service.js'
import { embeddedFolder, openServers } from '../servers/stores.js'

const run = promisify(execFile)

describe.each([
  ['with the contents of manifests', true],
  ['without the contents of manifests', false],
])('a registry that notifies %s', (_, references) => {
  const folder = embeddedFolder()
  let stop: () => Promise<void>
  let environment: Record<string, string>
  let service: Service
  let registry: DockerRegistry
  let database: Database
  let silent: string

  beforeAll(async () => {
    const servers = await openServers()
    // Each has to know the other's address before it starts.
    const listen = `127.0.0.1:${await freePort()}`
    const endpoint = `http://${listen}/container_registry_event/events`
    registry = await startDockerRegistry({ open: true, notify: { endpoint, token: NOTIFICATION_TOKEN, references } })
    environment = {
      ...servers.environment,
      TALLYMAN_REGISTRIES: JSON.stringify({ [registry.host]: { url: `http://${registry.host}` } }),
    }
    service = await startService(folder.path, { ...environment, TALLYMAN_LISTEN: listen })
    database = openPostgres(servers.environment.DATABASE_URL)
    stop = async () => {
      await registry.stop()
      await service.process.end('SIGTERM')
      await database.close()
      await servers.close()
      folder.remove()
    }
  })
  afterAll(async () => stop())

  /** All digests, once no more come. */
  const everSeen = async (): Promise<string[]> => {
    let seen: string[] = []
    await eventually('the last digest', async () => {
      const before = seen
      await new Promise((resolve) => setTimeout(resolve, 500))
      seen = await digestsIn(database)
      return seen.length === before.length
    })
    return seen
  }

  test('has after 43 steps what the inventory holds: every tag, manifest and blob', async () => {
    for (const step of fortyThreeSteps(registry)) await step.run()
    silent = await registry.silent()
    const answered = await registryAnswers(silent, await everSeen())
    // Notifications come after the client has its answer.
    const same = async (): Promise<boolean> => isDeepStrictEqual(await liveIn(database, registry.host), answered)
    await eventually('the last event', same).catch(() => undefined)
    const held = await liveIn(database, registry.host)
    expect(held).toEqual(answered)
    expect(Object.keys(held)).toEqual([
      'other/app',
      'team/app',
      'team/list',
      'team/mounted',
      'team/multi',
      'team/oci',
      'team/raw',
    ])
  })

  test('has told, or was asked for, what every manifest holds', async () => {
    const unknown = async (): Promise<string[]> => {
      const { rows } = await sql<{ digest: string }>`
        select distinct m.digest from inventory.manifests m
          join inventory.repository_manifests o on o.digest = m.digest and o.live
        where not m.contents_known
      `.execute(database.sql)
      return rows.map(({ digest }) => digest)
    }
    await eventually('all are read', async () => (await unknown()).length === 0).catch(() => undefined)
    expect(await unknown()).toEqual([])
  })

  test('has nothing that reconciling would repair', async () => {
    const { host } = registry
    const url = `http://${silent}`
    const client = createRegistryClient(
      { name: host, aliases: [], url },
      { userAgent: 'Tallyman/test', now: machineClock },
    )
    const { differences } = await reconcile(
      { database, client, now: machineClock, toleranceMs: 0 },
      { registry: host, apply: false, rate: 1_000, blobChecks: 'all', reread: true },
    )
    expect(differences).toEqual([])

    const { stdout } = await run(
      process.execPath,
      [join(ROOT, 'dist', 'main.js'), 'inventory', 'reconcile', '--rate', '1000'],
      {
        env: {
          ...inherited(),
          TALLYMAN_DATA_DIR: folder.path,
          ...environment,
          TALLYMAN_REGISTRIES: JSON.stringify({ [host]: { url } }),
        },
      },
    )
    expect(stdout).toContain('no drift: the inventory matches the registry')
  })
})

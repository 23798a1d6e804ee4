import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { microsOf } from '../../../src/events/calendar.js'
import type { ItemOutcome } from '../../../src/ingest/item.js'
import { createDockerCredentials } from '../../../src/registries/client/docker-config.js'
import { createRegistryClient } from '../../../src/registries/client/http-registry-client.js'
import { createIsOwnRead, ownReadAgent } from '../../../src/registries/own-reads.js'
import { createReadBack } from '../../../src/inventory/read-back/read-back.js'
import { createRegistries, type Registry } from '../../../src/registries/registries.js'
import type { RegistryClient } from '../../../src/registries/client/registry-client.js'
import { machineClock } from '../../servers/clock.js'
import { readByHost } from '../../servers/events.js'
import { createCounting } from '../../servers/counting.js'
import { startDockerRegistry, type DockerRegistry } from '../../servers/docker-registry.js'
import { OCI_IMAGE, OCI_INDEX } from '../../servers/manifests.js'
import { eventually, temporaryFolder } from '../../servers/process.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'
import { startStub, type Stub } from '../../servers/stub.js'

const SCHEMA_2 = 'application/vnd.docker.distribution.manifest.v2+json'

/** Notifications go through a stub into the ingest, as the service's webhook does it. */
describe.each(STORE_PAIRS)('a real registry that sends no contents is read back on %s', (_, open) => {
  const folder = temporaryFolder('docker-config')
  let stores: TestStores
  let webhook: Stub
  let docker: DockerRegistry
  let client: RegistryClient
  let readBack: () => Promise<number>
  const outcomes: ItemOutcome[] = []

  beforeAll(async () => {
    stores = await open()
    let registries: Registry[] = []
    const configured = createRegistries(() => registries)
    const { ingest } = createCounting(stores, machineClock, createIsOwnRead('secret', configured))
    webhook = await startStub(async ({ body }, response) => {
      outcomes.push(...(await ingest(readByHost(body, microsOf(machineClock())))))
      response.end()
    })
    docker = await startDockerRegistry({ notify: { endpoint: webhook.url, token: 'x' } })
    const file = join(folder.path, 'config.json')
    const auth = Buffer.from('alice:secret').toString('base64')
    writeFileSync(file, JSON.stringify({ auths: { [`http://${docker.host}/v2/`]: { auth } } }))
    const registry: Registry = { name: docker.host, aliases: [], url: `http://${docker.host}` }
    registries = [registry]
    configured.reload()
    client = createRegistryClient(registry, {
      findCredentials: createDockerCredentials({ file }),
      userAgent: ownReadAgent('1.0', 'secret', registry),
      now: machineClock,
    })
    const { run } = createReadBack({
      database: stores.database,
      registries: configured,
      clientFor: () => client,
      now: machineClock,
    })
    readBack = run
    await docker.copy('layout:one', 'registry:team/app:one', 'alice')
    await docker.copy('layout:two', 'registry:team/app:schema2', 'alice', '--format', 'v2s2')
    await docker.copy('layout:both', 'registry:team/multi:both', 'alice', '--all')
    await eventually('all events are recorded', async () => (await rows('select from inventory.tags')).length === 3)
  })
  afterAll(async () => {
    await docker.stop()
    await webhook.stop()
    await stores.close()
    folder.remove()
  })

  const rows = async (query: string): Promise<Record<string, unknown>[]> =>
    (await sql.raw<Record<string, unknown>>(query).execute(stores.database.sql)).rows
  const tally = async (name: string): Promise<number> =>
    Number((await rows(`select coalesce(sum(value), 0) as value from tallies where name = '${name}'`))[0]?.value)

  test('image, schema 2 and index: contents, sizes, platforms', async () => {
    const pulls = await tally('i_container_registry_pull')
    await eventually('all is read', async () => (await readBack(), (await unread()) === 0))
    expect(
      await rows(`select r.name || ':' || t.name as tag, media_type, m.size > 100 as sized, os, architecture,
        (select count(*)::int from inventory.manifest_blobs b where b.manifest_digest = m.digest) as blobs,
        (select count(*)::int from inventory.manifest_children c where c.manifest_digest = m.digest) as children
        from inventory.tags t join inventory.manifests m using (digest)
        join inventory.repositories r on r.id = t.repository_id order by 1`),
    ).toEqual([
      { tag: 'team/app:one', media_type: OCI_IMAGE, sized: true, ...on('amd64'), blobs: 3, children: 0 },
      { tag: 'team/app:schema2', media_type: SCHEMA_2, sized: true, ...on('amd64'), blobs: 3, children: 0 },
      {
        tag: 'team/multi:both',
        media_type: OCI_INDEX,
        sized: true,
        os: null,
        architecture: null,
        blobs: 0,
        children: 2,
      },
    ])
    expect(await rows('select os, architecture from inventory.manifest_children order by 2')).toEqual([
      on('amd64'),
      on('arm64'),
    ])
    expect(await rows('select from inventory.repository_blobs where not implied')).toEqual([])

    // Five manifests and the configs of four: the registry reports all of them, and none is counted.
    await eventually('our own reads are reported', async () =>
      Promise.resolve(outcomes.filter((outcome) => outcome === 'own_read').length === 9),
    )
    expect([await tally('i_container_registry_pull'), await tally('skip:own_read')]).toEqual([pulls, 9])
    expect(await rows('select from inventory.repository_manifests where pulled_at is not null')).toEqual([])
  })

  const unread = async (): Promise<number> =>
    (await rows('select from inventory.manifests where not contents_known')).length
  const on = (architecture: string): object => ({ os: 'linux', architecture })

  test('lists, digests, blobs', async () => {
    expect(await client.catalog()).toEqual({ names: ['team/app', 'team/multi'] })
    // In the order of the file system that the registry is on.
    const { names } = await client.tags('team/app')
    expect([...names].sort()).toEqual(['one', 'schema2'])
    const digest = await client.digestOf('team/app', 'one')
    const manifest = await client.manifest('team/app', 'one')
    expect(manifest?.digest).toBe(digest)
    const config = manifest?.contents[0]
    expect(await client.blob('team/app', config?.digest ?? '')).toEqual({ size: config?.size })
    expect(await client.blob('team/multi', `sha256:${'0'.repeat(64)}`)).toBeUndefined()
    expect(await client.digestOf('team/none', 'one')).toBeUndefined()
  })

  test('refuses whom it does not know, which the to-do notes with what to do', async () => {
    const stranger = createRegistryClient(
      { name: 'x', aliases: [], url: `http://${docker.host}`, username: 'eve', password: 'hunter2' },
      { userAgent: 'x', now: machineClock },
    )
    await expect(stranger.tags('team/app')).rejects.toThrow(
      `${docker.host} answered 401 when asked for the tags of team/app: give the registry credentials in the configuration`,
    )
  })
})

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createRegistryClient } from '../../../src/registries/client/http-registry-client.js'
import type { RegistryClient } from '../../../src/registries/client/registry-client.js'
import { reconcile } from '../../../src/inventory/reconcile/reconcile.js'
import type { ReconciliationReport } from '../../../src/inventory/reconcile/reports.js'
import { machineClock } from '../../servers/clock.js'
import { startDockerRegistry, type DockerRegistry } from '../../servers/docker-registry.js'
import { digestsIn, liveIn } from '../../servers/inventory.js'
import { registryAnswers } from '../../servers/registry-answers.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'
import { pushArtifact } from '../../servers/uploads.js'

const NO_DRIFT = { missing: 0, stale: 0, different: 0 }

describe.each(STORE_PAIRS)('a real registry that reported nothing, and %s', (_, open) => {
  let stores: TestStores
  let registry: DockerRegistry
  let client: RegistryClient
  let artifact: string

  beforeAll(async () => {
    ;[stores, registry] = await Promise.all([open(), startDockerRegistry({ open: true })])
    const { host } = registry
    client = createRegistryClient(
      { name: host, aliases: [], url: `http://${host}` },
      { userAgent: 'Tallyman/test', now: machineClock },
    )
    await registry.copy('layout:one', 'registry:team/app:1.0', 'nobody', '--format', 'v2s2')
    await registry.copy('layout:one', 'registry:team/app:latest', 'nobody', '--format', 'v2s2')
    await registry.copy('layout:both', 'registry:team/multi:3', 'nobody', '--all', '--format', 'oci')
    await registry.copy('layout:both', 'registry:team/list:3', 'nobody', '--all', '--format', 'v2s2')
    artifact = await pushArtifact(host, 'team/app', 'sbom', await digestOf('team/app', '1.0'))
  })
  afterAll(async () => {
    await registry.stop()
    await stores.close()
  })

  const digestOf = async (repository: string, tag: string): Promise<string> =>
    (await client.digestOf(repository, tag)) ?? ''
  const run = async (apply: boolean): Promise<ReconciliationReport> =>
    reconcile(
      { database: stores.database, client, now: machineClock, toleranceMs: 0 },
      { registry: registry.host, apply, rate: 1_000 },
    )
  const expectSame = async (): Promise<void> => {
    const answers = await registryAnswers(registry.host, await digestsIn(stores.database))
    expect(await liveIn(stores.database, registry.host)).toEqual(answers)
  }

  test('all of it is missing, and is recorded once that was applied', async () => {
    const { tags, manifests, blobs, drift } = await run(false)
    expect(drift).toEqual({ missing: tags + manifests + blobs, stale: 0, different: 0 })
    expect({ tags, manifests }).toEqual({ tags: 5, manifests: 8 })
    await run(true)
    await expectSame()
    expect((await run(false)).drift).toEqual(NO_DRIFT)
  })

  test('what was deleted and moved behind its back is named, and put right', async () => {
    const before = await digestOf('team/app', 'latest')
    await registry.copy('layout:two', 'registry:team/app:latest', 'nobody', '--format', 'v2s2')
    const after = await digestOf('team/app', 'latest')
    const list = await digestOf('team/list', '3')
    await registry.remove('team/list:3', 'nobody')
    expect(await registry.ask('DELETE', `/v2/team/app/manifests/${artifact}`)).toBe(202)

    const { drift, differences } = await run(false)
    expect(differences).toEqual(
      expect.arrayContaining([
        {
          repository: 'team/app',
          kind: 'different',
          object: 'tag',
          name: 'latest',
          inventory: before,
          registry: after,
        },
        { repository: 'team/app', kind: 'missing', object: 'manifest', name: after },
        { repository: 'team/app', kind: 'stale', object: 'tag', name: 'sbom', inventory: artifact },
        { repository: 'team/app', kind: 'stale', object: 'manifest', name: artifact },
        { repository: 'team/list', kind: 'stale', object: 'tag', name: '3', inventory: list },
        { repository: 'team/list', kind: 'stale', object: 'manifest', name: list },
      ]),
    )
    // The new image has a layer and a config of its own.
    expect(drift).toEqual({ missing: 3, stale: 4, different: 1 })
    await run(true)
    await expectSame()
    expect((await run(false)).drift).toEqual(NO_DRIFT)
  })
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Descriptor } from '../../../src/events/descriptor.js'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import { createRegistryClient } from '../../../src/registries/client/http-registry-client.js'
import { createReadBack } from '../../../src/inventory/read-back/read-back.js'
import { createRegistries, type Registry } from '../../../src/registries/registries.js'
import { MaybeCache, reconcileRegistry } from '../../../src/inventory/reconcile/reconcile-registry.js'
import type { Progress } from '../../../src/inventory/reconcile/reconcile.js'
import { scheduledReconcile } from '../../../src/inventory/reconcile/scheduled.js'
import type { ReconciliationReport } from '../../../src/inventory/reconcile/reports.js'
import { createCounting } from '../../servers/counting.js'
import { startDockerRegistry, type DockerRegistry } from '../../servers/docker-registry.js'
import { anEvent } from '../../servers/events.js'
import { liveIn } from '../../servers/inventory.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'
import { startStub, type Stub } from '../../servers/stub.js'

const NO_DRIFT = { missing: 0, stale: 0, different: 0 }
const EVENT_TIME = '2026-11-18T10:00:00Z'
const NOW = new Date('2026-11-18T11:00:00Z')

/** Passes requests on to a registry, and keeps them. */
const startRelay = async (host: string): Promise<Stub> =>
  startStub(({ method, path, headers }, response) => {
    const { accept = '*/*' } = headers
    void fetch(`http://${host}${path}`, { method, headers: { accept } }).then(async (answer) => {
      response.writeHead(answer.status, Object.fromEntries(answer.headers))
      response.end(Buffer.from(await answer.arrayBuffer()))
    })
  })

describe.each(STORE_PAIRS)('a pull-through cache, on %s', (_, open) => {
  let stores: TestStores
  let upstream: DockerRegistry
  let relay: Stub
  let cache: DockerRegistry
  let pulled: { manifest: string; blobs: string[] }
  beforeAll(async () => {
    ;[stores, upstream] = await Promise.all([open(), startDockerRegistry({ open: true })])
    for (const tag of ['1.0', '1.1', '2.0', 'latest'])
      await upstream.copy('layout:one', `registry:team/app:${tag}`, 'nobody', '--format', 'oci')
    await upstream.copy('layout:both', 'registry:team/app:multi', 'nobody', '--all', '--format', 'oci')
    await upstream.copy('layout:two', 'registry:team/other:1.0', 'nobody', '--format', 'oci')
    relay = await startRelay(upstream.host)
    cache = await startDockerRegistry({ open: true, upstream: relay.url })
    await cache.copy('registry:team/app:1.0', 'folder:pulled', 'nobody')
    const client = clientOf(declared(false))
    const manifest = await client.manifest('team/app', '1.0')
    pulled = { manifest: manifest?.digest ?? '', blobs: manifest?.contents.map(({ digest }) => digest) ?? [] }
  })
  afterAll(async () => {
    await Promise.all([cache.stop(), relay.stop(), upstream.stop()])
    await stores.close()
  })
  beforeEach(async () => {
    await stores.clear()
    relay.requests.length = 0
  })

  const declared = (isCache: boolean | undefined): Registry => ({
    name: cache.host,
    aliases: [],
    url: `http://${cache.host}`,
    ...(isCache !== undefined && { cache: isCache }),
  })
  const clientOf = (registry: Registry): ReturnType<typeof createRegistryClient> =>
    createRegistryClient(registry, { userAgent: 'Tallyman/test', now: () => NOW })
  const run = async (
    isCache: boolean | undefined,
    apply: boolean,
    onProgress?: (progress: Progress) => void,
  ): Promise<ReconciliationReport> => {
    const registry = declared(isCache)
    const registries = createRegistries(() => [registry])
    const deps = { database: stores.database, registries, client: clientOf(registry), now: () => NOW }
    return reconcileRegistry(deps, registry, { apply, rate: 1_000, onProgress })
  }
  const seen = (id: number, wanted: object): RegistryEvent =>
    anEvent({ id, at: EVENT_TIME, action: 'pull', registry: cache.host, ...wanted })
  /** What the cache reports of the pull. */
  const received = async (repository = 'team/app'): Promise<void> => {
    const mediaType = 'application/vnd.oci.image.manifest.v1+json'
    await createCounting(stores, () => NOW).ingest([
      seen(1, { repository, object: 'manifest', mediaType, digest: pulled.manifest, tag: '1.0' }),
      ...pulled.blobs.map((digest, i) => seen(i + 2, { repository, object: 'blob', digest, size: 10 })),
    ])
  }

  const blobsPulled = (): Descriptor[] =>
    pulled.blobs.map((digest) => ({ digest: digest as Descriptor['digest'], size: 10 }))

  test('is reconciled without a request to its upstream, and nothing is invented', async () => {
    await received()
    const before = await liveIn(stores.database, cache.host)
    for (const apply of [false, true]) {
      const report = await run(true, apply)
      expect(report).toMatchObject({ drift: NO_DRIFT, failed: 0, repositories: 1 })
      expect(report.notChecked).toEqual({ repositories: 1, tags: 1, manifests: 1, blobs: pulled.blobs.length })
      expect(await liveIn(stores.database, cache.host)).toEqual(before)
    }
    expect(relay.requests).toEqual([])
  })

  test('that no longer stores anything of a repository shows that: it is stale, and is deleted', async () => {
    await received()
    await createCounting(stores, () => NOW).ingest([
      seen(20, { repository: 'team/gone', object: 'manifest', digest: pulled.manifest, tag: '1.0' }),
      seen(21, { repository: 'team/gone', object: 'blob', digest: pulled.blobs[0] }),
    ])
    expect(await run(true, true)).toMatchObject({
      drift: { missing: 0, stale: 3, different: 0 },
      notChecked: { tags: 1 },
    })
    expect(Object.keys(await liveIn(stores.database, cache.host))).toEqual(['team/app'])
    expect((await run(true, false)).drift).toEqual(NO_DRIFT)
    expect(relay.requests).toEqual([])
  })

  test('that answers late for its catalog: what was pulled meanwhile is not in it, and stays', async () => {
    let clock = NOW.getTime()
    const now = (): Date => new Date(clock)
    const later = (seconds: number): Date => new Date((clock += seconds * 1_000))
    const { ingest } = createCounting(stores, now)
    const pull = async (id: number, at: Date): Promise<unknown> => {
      const image = { object: 'manifest', digest: pulled.manifest, tag: '1.0', references: blobsPulled() } as const
      return ingest([anEvent({ id, at: at.toISOString(), action: 'pull', registry: cache.host, ...image })])
    }
    const client = {
      ...clientOf(declared(true)),
      catalog: async () => {
        // Two pulls, one of them reported by a clock that is ahead; then the registry pauses for minutes.
        await pull(1, later(10))
        const ahead = new Date(clock + 600_000)
        await pull(2, ahead)
        later(300)
        return Promise.resolve({ names: [] })
      },
    }
    const registries = createRegistries(() => [declared(true)])
    const deps = { database: stores.database, registries, client, now }
    const report = await reconcileRegistry(deps, declared(true), { apply: true, rate: 1_000 })
    expect(report).toMatchObject({ drift: NO_DRIFT, failed: 0, repositories: 1 })
    expect(Object.keys(await liveIn(stores.database, cache.host))).toEqual(['team/app'])
  })

  test('that contains what was never reported has no drift either', async () => {
    expect(await run(true, true)).toMatchObject({ drift: NO_DRIFT, repositories: 0 })
    expect(await liveIn(stores.database, cache.host)).toEqual({})
    expect(relay.requests).toEqual([])
  })

  test('is reconciled on schedule by the same rule, and manifests are not read back from it', async () => {
    await received()
    const registries = createRegistries(() => [declared(true)])
    const needs = { database: stores.database, registries, now: () => NOW }
    await scheduledReconcile({ ...needs, clientFor: clientOf, rate: 1_000 }, true)
    const readBack = createReadBack({ ...needs, clientFor: () => clientOf(declared(true)) })
    expect(await readBack.run()).toBe(0)
    expect(relay.requests).toEqual([])
  })

  test('that is not declared is refused once it has reported pulls and no push', async () => {
    await received()
    for (const apply of [false, true]) await expect(run(undefined, apply)).rejects.toThrow(MaybeCache)
    await expect(run(undefined, true)).rejects.toThrow('cache: true')
    expect(relay.requests).toEqual([])
  })

  test('could be any registry that has reported nothing: the operator gets a notice before the first request', async () => {
    const notices: Progress[] = []
    const registry: Registry = { name: upstream.host, aliases: [], url: `http://${upstream.host}` }
    const registries = createRegistries(() => [registry])
    const deps = { database: stores.database, registries, client: clientOf(registry), now: () => NOW }
    const onProgress = (progress: Progress): void => void notices.push(progress)
    const report = await reconcileRegistry(deps, registry, { apply: false, rate: 1_000, onProgress })
    expect(notices[0]).toMatchObject({ requests: 0, notice: expect.stringContaining('cache: true') as unknown })
    expect(notices.filter(({ notice }) => notice !== undefined)).toHaveLength(1)
    expect(report.notChecked).toBeUndefined()
  })

  test.each(['push', 'delete'] as const)('is no registry that has reported a %s', async (action) => {
    await received()
    const mediaType = 'application/vnd.oci.image.manifest.v1+json'
    const event = {
      action,
      digest: pulled.manifest,
      ...(action === 'push' && { object: 'manifest' as const, mediaType }),
    }
    await createCounting(stores, () => NOW).ingest([seen(30, event)])
    const notices: Progress[] = []
    await run(undefined, false, (progress) => void notices.push(progress))
    expect(notices.filter(({ notice }) => notice !== undefined)).toEqual([])
  })
})

import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { startDockerRegistry, type DockerRegistry } from '../servers/docker-registry.js'
import { startPostgres } from '../servers/postgres.js'
import { eventually, temporaryFolder } from '../servers/process.js'
import { startRedis } from '../servers/redis.js'
import { startService, type Service } from '../servers/service.js'
import { embeddedFolder } from '../servers/stores.js'
import { putManifest } from '../servers/uploads.js'

const LAYERS = 3_500
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'

const sha256 = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`
const layer = (i: number): string => `layer ${i}`

/** As a build cache has it: each layer with annotations, so that the notification has more than a mebibyte. */
const imageOf = (layers: number): string =>
  JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: sha256('{}'), size: 2 },
    layers: Array.from({ length: layers }, (_, i) => ({
      mediaType: LAYER,
      digest: sha256(layer(i)),
      size: layer(i).length,
      annotations: { 'containerd.io/uncompressed': sha256(`uncompressed ${i}`), 'buildkit/createdat': '2026-01-01' },
    })),
  })

const STORES: [string, () => Promise<{ environment: Record<string, string>; stop: () => Promise<unknown> }>][] = [
  [
    'Redis and PostgreSQL',
    async () => {
      const [redis, postgres] = await Promise.all([startRedis(), startPostgres()])
      return {
        environment: { REDIS_URL: redis.url, DATABASE_URL: postgres.url },
        stop: async () => Promise.all([redis.stop(), postgres.stop()]),
      }
    },
  ],
  ['the embedded stores', async () => Promise.resolve({ environment: {}, stop: async () => Promise.resolve() })],
]

describe.each(STORES)('a registry that is configured with the lines of the first start, on %s', (name, open) => {
  const folder = name.startsWith('the') ? embeddedFolder() : temporaryFolder('service')
  let stores: Awaited<ReturnType<typeof open>>
  let service: Service
  let registry: DockerRegistry

  beforeAll(async () => {
    stores = await open()
    // Without a token of the configuration the first start makes one, and prints it.
    service = await startService(folder.path, { ...stores.environment, TALLYMAN_NOTIFICATION_TOKENS: '' })
    const [, lines = ''] = /\n( {2}notifications:\n(?: {4}.*\n)+)/.exec(service.process.output()) ?? []
    const { notifications } = parse(lines) as { notifications: unknown }
    registry = await startDockerRegistry({ notifications, open: true })
  })
  afterAll(async () => {
    await registry.stop()
    await service.process.end('SIGTERM')
    await stores.stop()
    folder.remove()
  })

  const items = async (path: string): Promise<Record<string, unknown>[]> =>
    ((await (await service.get(`/inventory/${path}`)).json()) as { items: Record<string, unknown>[] }).items
  test('sends what a manifest holds; one of 3,500 layers is stored, and nothing behind it waits', async () => {
    registry.hold('ci/cache', ['{}', ...Array.from({ length: LAYERS }, (_, i) => layer(i))])
    const large = await putManifest(registry.host, 'ci/cache', imageOf(LAYERS), 'cache')
    const small = await putManifest(registry.host, 'ci/cache', imageOf(2), 'small')

    await eventually('the event behind the large one', async () =>
      (await items('images?repository=ci/cache')).some(({ tag }) => tag === 'small'),
    )
    const images = await items('images?repository=ci/cache')
    expect(images.map(({ tag, digest }) => [tag, digest]).sort()).toEqual([
      ['cache', large],
      ['small', small],
    ])
    const status = (await (await service.get('/status')).json()) as Record<string, unknown>
    expect(status).toMatchObject({ refused: {}, skips: {}, unreadableFields: {} })
    expect(status).toMatchObject({ unreadManifests: { waiting: 0 } })
    const bytes = Array.from({ length: LAYERS }, (_, i) => layer(i).length).reduce((sum, one) => sum + one, 2)
    expect(images.find(({ tag }) => tag === 'cache')).toMatchObject({ size: bytes + imageOf(LAYERS).length })
  })
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { readDescriptors } from '../../src/events/target.js'
import { contentsOfManifests } from '../../src/inventory/contents.js'
import { sumBlobs } from '../../src/inventory/summary/sums.js'
import { createCounting } from '../servers/counting.js'
import { anEvent } from '../servers/events.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const digest = (name: string, algorithm = 'sha256', length = 64): string => `${algorithm}:${name.padStart(length, '0')}`
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

describe.each(STORE_PAIRS)('what a manifest is, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  let sequence = 0
  const push = async (name: string, mediaType: string, references: unknown[]): Promise<void> => {
    const { descriptors = [] } = readDescriptors(references)
    await createCounting(stores).ingest([
      anEvent({
        ...{ id: ++sequence, action: 'push', object: 'manifest', repository: 'a', tag: '1.0' },
        ...{ digest: digest(name), mediaType, references: descriptors },
      } as never),
    ])
  }
  const kindOf = async (name: string): Promise<string | undefined> =>
    (await contentsOfManifests(stores.database.sql, 'registry.example', [digest(name)]))[0]?.kind

  test.each([
    ['application/vnd.oci.image.config.v1+json', 'application/vnd.oci.image.layer.v1.tar+gzip', 'image'],
    ['application/vnd.sylabs.sif.config.v1+json', 'application/vnd.sylabs.sif.layer.v1.sif', 'image'],
    ['application/vnd.wasm.config.v0+json', 'application/wasm', 'image'],
    ['application/vnd.kitops.modelkit.config.v1+json', 'application/vnd.kitops.modelkit.model.v1.tar', 'image'],
    ['application/vnd.cncf.model.config.v1+json', 'application/vnd.cncf.model.weight.v1.raw', 'image'],
    ['application/vnd.docker.container.image.v1+json', 'application/vnd.ollama.image.model', 'image'],
    ['application/vnd.cncf.helm.config.v1+json', 'application/vnd.cncf.helm.chart.content.v1.tar+gzip', 'image'],
    ['application/vnd.oci.empty.v1+json', 'application/vnd.example.of-tomorrow', 'image'],
    ['application/vnd.oci.image.config.v1+json', 'application/vnd.dev.cosign.simplesigning.v1+json', 'artifact'],
    ['application/vnd.oci.image.config.v1+json', 'application/vnd.in-toto+json', 'artifact'],
    ['application/vnd.oci.empty.v1+json', 'application/vnd.dev.sigstore.bundle.v0.3+json', 'artifact'],
    ['application/vnd.cncf.notary.signature', 'application/jose+json', 'artifact'],
    ['application/vnd.cncf.flux.config.v1+json', 'application/vnd.cncf.flux.content.v1.tar+gzip', 'artifact'],
    ['application/vnd.oci.empty.v1+json', 'application/spdx+json', 'artifact'],
  ])('with %s and %s is an %s', async (config, layer, kind) => {
    await push('a', MANIFEST, [
      { mediaType: config, digest: digest('c'), size: 2 },
      { mediaType: layer, digest: digest('b'), size: 9 },
    ])
    expect(await kindOf('a')).toBe(kind)
    const [known] = await contentsOfManifests(stores.database.sql, 'registry.example', [digest('a')])
    // The configuration is no layer, so that to fetch it alone is no download.
    if (/config|oci\.empty/.test(config)) expect(known).toMatchObject({ config: digest('c'), layers: [digest('b')] })
    await sql`update inventory.manifests set subject = ${digest('5')}`.execute(stores.database.sql)
    expect(await kindOf('a')).toBe('artifact')
  })

  test('does not lose blobs of any digest algorithm from sums', async () => {
    const blobs = [
      digest('b'),
      digest('f'.repeat(64)),
      digest('1', 'sha512', 128),
      digest('1', 'blake3'),
      'a+b:x',
      'z:1',
    ]
    await createCounting(stores).ingest(
      blobs.map((one) =>
        anEvent({ id: ++sequence, action: 'push', object: 'blob', repository: 'a', digest: one, size: 10 } as never),
      ),
    )
    const { blobs: count, bytes } = await sumBlobs(stores.database.sql)
    expect({ count, bytes }).toEqual({ count: blobs.length, bytes: 60 })
  })
})

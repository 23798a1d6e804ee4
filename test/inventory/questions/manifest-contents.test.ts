import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { readDescriptors } from '../../../src/events/descriptor.js'
import { contentsOfManifests, listedPlatforms } from '../../../src/inventory/questions/manifest-contents.js'
import { sumBlobs } from '../../../src/inventory/summary/sums.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { noting } from '../../servers/explained-rows.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const digest = (name: string, algorithm = 'sha256', length = 64): string => `${algorithm}:${name.padStart(length, '0')}`
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'

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

  /** An index of registry.example lists one manifest in two repositories; so do many indexes of another registry. */
  const withIndexesElsewhere = async (indexes: number): Promise<void> => {
    await stores.clear()
    await createCounting(stores).ingest(
      ['a', 'b'].map((repository) =>
        anEvent({
          ...{ id: ++sequence, action: 'push', object: 'manifest', repository, digest: digest('e'), mediaType: INDEX },
          references: [
            { mediaType: MANIFEST, digest: digest('d'), size: 5, platform: { os: 'linux', architecture: 'arm64' } },
          ],
        } as never),
      ),
    )
    await sql`
      with added as (
        insert into inventory.manifests (digest, media_type, contents_known, stated_by, completed_by)
        select 'sha256:' || lpad(to_hex(n), 64, '0'), ${INDEX}, false, '{evil.example}', '{evil.example}'
        from generate_series(1000, 999 + ${indexes}::int) n
        returning digest
      )
      insert into inventory.manifest_children (manifest_digest, position, digest, media_type, os, architecture)
      select digest, 0, ${digest('d')}, ${MANIFEST}, 'windows', 'amd64' from added
    `.execute(stores.database.sql)
    await sql`analyze inventory.manifest_children, inventory.manifests, inventory.repository_manifests`.execute(
      stores.database.sql,
    )
  }
  const wanted = [
    { repository: 'a', digest: digest('d') },
    { repository: 'b', digest: digest('d') },
    ...Array.from({ length: 20 }, (_, i) => ({ repository: 'a', digest: digest(`f${i}`) })),
  ]

  test('its platform in an index is found among a bounded number of entries', async () => {
    const read: number[] = []
    for (const indexes of [600, 6_000]) {
      await withIndexesElsewhere(indexes)
      const rows: number[] = []
      const found = await listedPlatforms(
        noting(stores.database.sql, rows, { withRemoved: true }),
        'registry.example',
        wanted,
      )
      expect(found).toEqual(
        ['a', 'b'].map((repository) => ({ repository, digest: digest('d'), platform: 'linux/arm64' })),
      )
      read.push(...rows)
    }
    const [few = NaN, many = NaN] = read
    expect(many).toBeLessThan(few * 1.5)
  })
})

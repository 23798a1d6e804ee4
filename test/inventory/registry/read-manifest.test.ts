import { describe, expect, test } from '@jest/globals'
import { readManifest } from '../../../src/inventory/registry/read-manifest.js'
import { digestOf } from '../../servers/history.js'
import { OCI_CONFIG, OCI_IMAGE, OCI_INDEX } from '../../servers/manifests.js'

const LAYER = 'application/vnd.oci.image.layer.v1.tar'
const ARTIFACT = 'application/vnd.oci.artifact.manifest.v1+json'
const config = { mediaType: OCI_CONFIG, digest: digestOf('c1'), size: 2 }
const layer = { mediaType: LAYER, digest: digestOf('b1'), size: 30 }
const child = { mediaType: OCI_IMAGE, digest: digestOf('a1'), size: 500 }
const image = { mediaType: OCI_IMAGE, config, layers: [layer] }
const index = { mediaType: OCI_INDEX, manifests: [child] }

const digestsIn = (manifest: object): string[] | undefined =>
  readManifest(Buffer.from(JSON.stringify({ schemaVersion: 2, ...manifest })), null)?.contents.map(
    ({ digest }) => digest,
  )

describe('the bytes of a manifest', () => {
  test.each<[string, object, string[]]>([
    ['an image with an empty list of another kind', { ...image, blobs: [] }, ['c1', 'b1']],
    ['an image with another list that is null', { ...image, manifests: null }, ['c1', 'b1']],
    ['an image without layers', { ...image, layers: null }, ['c1']],
    ['an index', { ...index, layers: [] }, ['a1']],
    ['an index without entries', { ...index, manifests: null }, []],
    ['an artifact without blobs', { mediaType: ARTIFACT }, []],
    ['an image that does not say its type', { config, layers: [layer] }, ['c1', 'b1']],
    ['fields that nobody knows', { ...image, Comment: 'x', layers: [{ ...layer, Note: 'y' }] }, ['c1', 'b1']],
  ])('are read: %s', (_, manifest, names) => {
    expect(digestsIn(manifest)).toEqual(names.map(digestOf))
  })

  test.each<[string, object]>([
    ['entries in the list of another kind', { ...image, manifests: [child] }],
    ['two lists with entries and no type', { config, layers: [layer], manifests: [child] }],
    ['two empty lists and no type', { layers: [], manifests: [] }],
    ['a type without its list', { mediaType: OCI_INDEX, layers: [layer] }],
    ['a list twice, once in another case', { ...index, manifests: [], Manifests: [child] }],
    ['a list in another case alone', { mediaType: OCI_IMAGE, config, layers: [], Layers: [layer] }],
    ['a type in another case', { ...image, MediaType: OCI_INDEX }],
    ['a digest in another case', { ...image, layers: [{ ...layer, Digest: digestOf('b2') }] }],
    ['a config with a digest in another case', { ...image, config: { ...config, DIGEST: digestOf('c2') } }],
  ])('are not, as programs may read different contents: %s', (_, manifest) => {
    expect(digestsIn(manifest)).toBeUndefined()
  })
})

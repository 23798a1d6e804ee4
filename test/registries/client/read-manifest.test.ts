import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { digestedBytes, platformIn, readManifest } from '../../../src/registries/client/read-manifest.js'
import { digestOf } from '../../servers/history.js'
import { OCI_CONFIG, OCI_IMAGE, OCI_INDEX } from '../../servers/manifests.js'
import { runs } from '../../servers/runs.js'

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
    ['unknown fields', { ...image, Comment: 'x', layers: [{ ...layer, Note: 'y' }] }, ['c1', 'b1']],
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
    ['a list with a long s', { ...image, 'layer\u017f': [layer] }],
    ['a list of manifests with a long s', { ...index, manifests: [], 'manife\u017fts': [child] }],
    ['a subject with a long s', { ...image, '\u017fubject': child }],
    [
      'a blobSum with a long s in an old list',
      { fsLayers: [{ 'blob\u017fum': digestOf('b2'), blobSum: digestOf('b1') }] },
    ],
    ['a platform with an os in another case', { ...index, manifests: [{ ...child, platform: { os: 'a', OS: 'b' } }] }],
  ])('are not, as programs may read different contents: %s', (_, manifest) => {
    expect(digestsIn(manifest)).toBeUndefined()
  })

  test.each([
    ['a subject twice', `"subject":${JSON.stringify(child)},"subject":{}`],
    ['a subject twice, once with an escape', `"subject":${JSON.stringify(child)},"\\u0073ubject" :\n{}`],
    ['a list twice', `"layers":[]`],
    ['an entry with a digest twice', `"subject":{"digest":"${digestOf('a1')}","digest":"${digestOf('a2')}"}`],
  ])('are not, as an object has a name twice: %s', (_, fields) => {
    const bytes = (more: string): Buffer => Buffer.from(`{${more}${JSON.stringify(image).slice(1)}`)
    expect(readManifest(bytes(''), null)).toBeDefined()
    expect(readManifest(bytes(`${fields},`), null)).toBeUndefined()
  })

  test('are not if they are deeper than programs in Go read', () => {
    const bytes = (depth: number): Buffer =>
      Buffer.from(JSON.stringify(image).replace('{', `{"x":${'['.repeat(depth)}${']'.repeat(depth)},`))
    expect(readManifest(bytes(9_999), null)).toBeDefined()
    expect(readManifest(bytes(10_000), null)).toBeUndefined()
  })
})

/** Objects of a value, each with the names that lead to it. */
const objectsIn = (value: unknown, path = ''): { path: string; names: string[] }[] => {
  if (typeof value !== 'object' || value === null) return []
  const below = Object.entries(value).flatMap(([name, part]) => objectsIn(part, `${path}/${name}`))
  return Array.isArray(value) ? below : [{ path, names: Object.keys(value) }, ...below]
}

type Change = { path: string; fields: (own: string[]) => string[] }

/** A value as JSON, in which the fields of one object are changed. */
const written = (value: unknown, { path, fields }: Change, at = ''): string => {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map((part, i) => written(part, { path, fields }, `${at}/${i}`)).join()}]`
  const own = Object.entries(value).map(
    ([name, part]) => `${JSON.stringify(name)}:${written(part, { path, fields }, `${at}/${name}`)}`,
  )
  return `{${(path === at ? fields(own) : own).join()}}`
}

/** A letter as programs in Go take it for the same, or as JSON escapes it. */
const LETTERS: ((letter: string) => string)[] = [
  (letter) => letter,
  (letter) => letter.toUpperCase(),
  (letter) => (letter === 's' ? '\u017f' : letter === 'k' ? '\u212a' : letter),
  (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
  (letter) => (letter === 's' ? '\\u017F' : letter),
]
const spelled = (name: string, ways: number[]): string =>
  Array.from(name, (letter, i) => LETTERS[ways[i % ways.length] ?? 0]?.(letter)).join('')

const platform = { os: 'linux', architecture: 'arm', variant: 'v7' }
const MANIFESTS = [
  { ...image, subject: child, artifactType: 'a/b', annotations: { note: 'x' }, config: { ...config, platform } },
  { ...index, subject: child, manifests: [{ ...child, platform, annotations: { note: 'x' } }, child] },
  { mediaType: ARTIFACT, blobs: [layer, layer], subject: child },
  { schemaVersion: 1, architecture: 'amd64', fsLayers: [{ blobSum: digestOf('b1') }, { blobSum: digestOf('b2') }] },
]
const VALUES = [null, {}, [], '', 7, 'x/y', digestOf('e1'), child, [layer], [child], platform, OCI_INDEX].map((value) =>
  JSON.stringify(value),
)

/** A value of which one field of one object is there once more, or alone, in another spelling. */
const changed = (values: readonly object[]): fc.Arbitrary<{ value: object; bytes: Buffer }> =>
  fc
    .constantFrom(...values)
    .chain((value) =>
      fc.tuple(
        fc.constant(value),
        fc.constantFrom(
          ...objectsIn(value).flatMap(({ path, names }) => names.map((name, place) => ({ path, name, place }))),
        ),
        fc.array(fc.integer({ min: 0, max: LETTERS.length - 1 }), { minLength: 1, maxLength: 6 }),
        fc.constantFrom(...VALUES),
        fc.constantFrom('first', 'last', 'instead'),
      ),
    )
    .map(([value, { path, name, place }, ways, other, where]) => {
      const field = `"${spelled(name, ways)}":${other}`
      const fields = (own: string[]): string[] => {
        if (where === 'first') return [field, ...own]
        if (where === 'last') return [...own, field]
        return own.map((one, i) => (i === place ? one.replace(`"${name}"`, `"${spelled(name, ways)}"`) : one))
      }
      return { value, bytes: Buffer.from(written(value, { path, fields })) }
    })

const ofValue = (value: object): Buffer => Buffer.from(JSON.stringify(value))

test('one name more, or in another spelling, makes contents unknown and never others', () => {
  fc.assert(
    fc.property(changed(MANIFESTS), ({ value, bytes }) => {
      const read = readManifest(bytes, null)
      expect(readManifest(ofValue(value), null)).toBeDefined()
      if (read) expect(read).toEqual(readManifest(ofValue(value), null))
    }),
    runs(2_000),
  )
})

test('so it does with the platform in a config', () => {
  const values = [{ ...platform, config: { Labels: { os: 'x' } } }]
  expect(platformIn(ofValue({ ...platform }))).toEqual(platform)
  fc.assert(
    fc.property(changed(values), ({ bytes }) => {
      expect([undefined, platform]).toContainEqual(platformIn(bytes))
    }),
    runs(500),
  )
})

test.each([
  ['65 characters in a part', { ...platform, variant: 'v'.repeat(65) }],
  ['a part that is no text', { ...platform, os: 7 }],
  ['a slash in a part', { ...platform, architecture: 'arm/v7' }],
])('%s makes the platform unknown, and the manifest stays known', (_, long) => {
  expect(platformIn(ofValue(long))).toBeUndefined()
  const entry = { mediaType: OCI_IMAGE, digest: digestOf('e1'), size: 2 }
  const read = readManifest(ofValue({ schemaVersion: 2, manifests: [{ ...entry, platform: long }] }), null)
  expect(read?.contents).toEqual([entry])
})

test('an architecture of schema 1 that cannot be read is unknown', () => {
  const bytes = ofValue({ schemaVersion: 1, architecture: 'a'.repeat(65), fsLayers: [{ blobSum: digestOf('b1') }] })
  expect(readManifest(bytes, null)).not.toHaveProperty('platform')
})

test.each<[string, string, string]>([
  ['a name in another case', '{"formatLength":2,"formatTail":"fQ","FormatLength":3}', '"protected":'],
  ['a name twice', '{"formatLength":2,"formatLength":3,"formatTail":"fQ"}', '"protected":'],
  ['a signature in another case', '{"formatLength":2,"formatTail":"fQ"}', '"Protected":"e30","protected":'],
])('programs may differ in the bytes that signatures leave out: %s', (_, place, name) => {
  const bytes = `{"schemaVersion":1,"signatures":[{${name}"${Buffer.from(place).toString('base64url')}"}]}`
  expect(digestedBytes(Buffer.from(bytes))).toBeUndefined()
})

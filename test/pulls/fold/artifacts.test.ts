import { describe, expect, test } from '@jest/globals'
import { DIGEST_ALGORITHMS, isReferrerTag, type Digest, type Tag } from '../../../src/events/reference.js'
import type { ManifestContents } from '../../../src/pulls/fold/contents.js'
import type { FoldRequest } from '../../../src/pulls/fold/state.js'
import { fold } from '../../servers/folding.js'

const ORAS = 'application/vnd.oci.artifact.manifest.v1+json'
const HEX = '0123456789abcdef'.repeat(4)

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const kindsOf = (
  requests: readonly Partial<FoldRequest>[],
  contents: Record<string, ManifestContents> = {},
): string[] =>
  fold(
    requests.map((request) => ({ mediaType: MANIFEST, ...request })),
    contents,
  )
    .sort((a, b) => a.at - b.at)
    .map(({ what }) => what)

describe('referrer tags', () => {
  test('exist for every registered digest algorithm', () => {
    for (const algorithm of DIGEST_ALGORITHMS.keys())
      for (const suffix of ['', '.sig', '.att', '.sbom']) {
        const tag = `${algorithm}-${HEX}${suffix}`
        expect([tag, isReferrerTag(tag)]).toEqual([tag, true])
        expect(kindsOf([{ tag: tag as Tag }])).toEqual(['artifact'])
      }
  })

  test.each([
    'sha256',
    `sha256-${HEX.slice(1)}`,
    `sha256-${HEX}.imgpkg`,
    `main-${HEX}`,
    `sha256-${HEX}0`,
    'sha512-latest',
  ])('%s is a tag of an image', (tag) => {
    expect(isReferrerTag(tag)).toBe(false)
    expect(kindsOf([{ tag: tag as Tag }])).toEqual(['invocation'])
  })

  test('turn the manifests that they list into artifacts', () => {
    const contents = { i: { kind: 'index', children: new Set(['s']) } as const }
    const requests = [{ tag: `sha512-${HEX}` as Tag, digest: 'i' as Digest }, { digest: 's' as Digest }]
    expect(kindsOf(requests, contents)).toEqual(['artifact', 'artifact'])
  })
})

test('a manifest with the media type of artifacts is a pull by its tag, or if it is known to refer to no manifest', () => {
  const digest = 'o' as Digest
  expect(kindsOf([{ mediaType: ORAS, tag: '1.0' as Tag, digest }])).toEqual(['invocation'])
  expect(kindsOf([{ mediaType: ORAS, digest }])).toEqual(['artifact'])
  expect(kindsOf([{ mediaType: ORAS, digest }], { o: { kind: 'image', layers: new Set(['l']) } })).toEqual([
    'invocation',
  ])
  expect(kindsOf([{ mediaType: ORAS, tag: '1.0' as Tag, digest }], { o: { kind: 'artifact' } })).toEqual(['artifact'])
})

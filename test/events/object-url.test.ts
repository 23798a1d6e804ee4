import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parseObjectUrl } from '../../src/events/object-url.js'
import { runs } from '../servers/runs.js'

const DIGEST = 'sha256:7216c4a0c7c0e8c3686277aac4b76ae23cc2a76d00fe6bf57661ff7fa5c9dfc4'

/** Names that are a part of every path of an object, and others. */
const segment = fc.constantFrom('manifests', 'blobs', 'uploads', 'v2', 'team', 'app')
const repository = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
const beginning = fc.constantFrom('', 'https://registry.example:5000', 'http://registry.example/prefix/manifests')
const ending = fc.constantFrom('', '?ns=docker.io', '?a=/manifests/x', '#/blobs/x')
const digest = fc.constantFrom(DIGEST, DIGEST.replace(':', '%3A'))

describe('the URL of an object', () => {
  test('names its kind and digest in its last two segments, whatever the repository is called', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(['manifests', 'manifest'], ['blobs', 'blob']),
        fc.tuple(beginning, repository, digest, ending),
        ([part, kind], [before, name, reference, after]) => {
          const url = `${before}/v2/${name}/${part}/${reference}${after}`
          expect(parseObjectUrl(url)).toEqual({ kind, reference: DIGEST })
        },
      ),
      runs(100),
    )
  })

  test('may name a tag', () => {
    expect(parseObjectUrl('/v2/team/manifests/app')).toEqual({ kind: 'manifest', reference: 'app' })
  })

  test.each([
    ['is empty', ''],
    ['has no segment', '/'],
    ['is the root of a registry', '/v2/'],
    ['ends with a slash', `/v2/team/app/manifests/${DIGEST}/`],
    ['is an upload', '/v2/team/app/blobs/uploads/5d2cbb3a-7b0a'],
    ['is badly encoded', '/v2/team/app/manifests/%ff'],
    ['has a slash in its reference', '/v2/team/app/manifests/a%2Fb'],
    ['is no path', DIGEST],
  ])('is none if it %s', (_, url) => {
    expect(parseObjectUrl(url)).toBeUndefined()
  })
})

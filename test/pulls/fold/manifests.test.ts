import { expect, test } from '@jest/globals'
import type { Digest, RepositoryPath, Tag } from '../../../src/events/reference.js'
import { createFold } from '../../support/fold.js'
import type { PullOutcome } from '../../../src/pulls/fold/outcome.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { fold } from '../../servers/folding.js'

test('an artifact is known by its media type, even if its contents are unknown', () => {
  const outcomes: PullOutcome[] = []
  const { add, end } = createFold({ contentsOf: () => undefined, windows: WINDOWS, emit: (one) => outcomes.push(one) })
  const request = { registry: 'r', repository: 'a' as RepositoryPath, origin: 'o', status: 200, method: 'GET' } as const
  const types = ['application/vnd.oci.artifact.manifest.v1+json', 'application/vnd.oci.image.manifest.v1+json']
  for (const [i, mediaType] of types.entries())
    add({ ...request, id: String(i), at: i, object: 'manifest', digest: `sha256:${i}` as Digest, mediaType })
  end()
  expect(outcomes.map(({ what, id }) => [what, id])).toEqual([
    ['artifact', '0'],
    ['invocation', '1'],
  ])
})

/** Unsettled requests are folded when they arrive. */
test('a request that arrives late neither closes nor shortens open outcomes', () => {
  const SECOND = 1_000_000
  const tag = '1.0' as Tag
  const blob = { object: 'blob', digest: 'l' as Digest } as const
  const arrived = [
    { at: 100 * SECOND, tag, digest: 'm' as Digest },
    { ...blob, at: 200 * SECOND },
    { ...blob, at: 110 * SECOND },
    { at: 120 * SECOND, digest: 'm' as Digest, method: 'HEAD' } as const,
    { ...blob, at: 1_990 * SECOND },
  ]
  expect(fold(arrived)).toMatchObject([{ what: 'invocation', gets: 1, layers: 1, last: 120 * SECOND }])
})

test('a manifest belongs to no pull that began after its request', () => {
  const digests = [
    { at: 10, tag: '1.0' as Tag, digest: 'i' as Digest },
    { at: 9, digest: 'm' as Digest },
  ]
  expect(fold(digests)).toHaveLength(2)
})

import { expect, test } from '@jest/globals'
import type { Digest, RepositoryPath } from '../../../src/events/reference.js'
import { createFold } from '../../../src/pulls/fold/fold.js'
import type { Outcome } from '../../../src/pulls/fold/outcome.js'
import { WINDOWS } from '../../../src/pulls/fold/windows.js'

test('an artifact is known by its media type, also where nobody has read what it holds', () => {
  const outcomes: Outcome[] = []
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

import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Digest, RepositoryPath, Tag } from '../../../src/events/reference.js'
import type { ManifestContents } from '../../../src/pulls/fold/contents.js'
import type { PullOutcome } from '../../../src/pulls/fold/outcome.js'
import { createByOrigin } from '../../../src/pulls/fold-job/by-origin.js'
import { foldBatch } from '../../../src/pulls/fold-job/fold-batch.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import type { PendingRequest } from '../../../src/pulls/requests/pending.js'
import { columnsOf, foldInColumns, type ColumnRequest } from '../../support/columns.js'
import { runs } from '../../servers/runs.js'

const SECOND = 1_000_000
const DIGESTS = ['a', 'b', 'c', 'd', 'e', 'f'].map((one) => `sha256:${one.repeat(64)}` as Digest)
const [INDEX = '', IMAGE = '', ARTIFACT = '', LAYER = '', CONFIG = ''] = DIGESTS

const CONTENTS = new Map<string, ManifestContents>([
  [INDEX, { kind: 'index', children: new Set([IMAGE]) }],
  [IMAGE, { kind: 'image', layers: new Set([LAYER]), config: CONFIG }],
  [ARTIFACT, { kind: 'artifact', blobs: new Set([LAYER]), children: new Set([IMAGE]) }],
])
const contentsOf = (digest: string): ManifestContents | undefined => CONTENTS.get(digest)

/** Requests of a few origins within hours: some under two names, many of one second, some reported twice. */
const request = fc.record(
  {
    id: fc.uuid(),
    seconds: fc.oneof(fc.nat({ max: 90 }), fc.nat({ max: 20_000 })),
    origin: fc.constantFrom('one', 'two', 'three'),
    hasPrevious: fc.boolean(),
    repository: fc.constantFrom('team/app' as RepositoryPath, 'team/web' as RepositoryPath),
    requestId: fc.constantFrom('r1', 'r2', 'r3', 'r4', 'r5'),
    object: fc.constantFrom('manifest', 'manifest', 'blob', 'tags', 'referrers'),
    method: fc.constantFrom('GET', 'GET', 'HEAD'),
    status: fc.constantFrom(200, 200, 200, 206, 304, 307, 404, 100),
    tag: fc.constantFrom('latest' as Tag, '1.0' as Tag, `sha256-${'a'.repeat(64)}` as Tag),
    digest: fc.constantFrom(...DIGESTS),
    mediaType: fc.constantFrom('application/vnd.oci.image.index.v1+json', 'application/vnd.oci.image.manifest.v1+json'),
    bytes: fc.nat(),
    fetchesTwice: fc.boolean(),
    isRepeated: fc.boolean(),
  },
  {
    requiredKeys: ['id', 'seconds', 'origin', 'hasPrevious', 'repository', 'object', 'method', 'status', 'isRepeated'],
  },
)

type Case = typeof request extends fc.Arbitrary<infer T> ? T : never

const requestOf = ({ id, seconds, origin, hasPrevious, ...rest }: Case): PendingRequest & ColumnRequest => ({
  ...rest,
  id,
  origin,
  at: seconds * SECOND,
  registry: 'registry.example',
  who: origin,
  mayRepeat: true,
  ...(hasPrevious && { previous: `${origin} before` }),
})

const sorted = (outcomes: readonly PullOutcome[]): unknown[] =>
  outcomes
    .map((outcome) => {
      const { what, id, at, repository, origin, tag, digest, bytes } = outcome
      const common = { what, id, at, repository, origin, tag, digest, bytes }
      if (outcome.what !== 'invocation') return common
      const { last, by, gets, images, layers, startsSession } = outcome
      return { ...common, last, by, gets, images: [...images], layers, startsSession }
    })
    .sort((a, b) => (a.id < b.id ? -1 : 1))

test('requests in columns, in any order and reported twice, have the outcomes of requests in objects', () => {
  let invocations = 0
  fc.assert(
    fc.property(
      fc.uniqueArray(request, { minLength: 20, maxLength: 60, selector: ({ id }) => id.slice(0, 18) }),
      fc.gen(),
      (cases, gen) => {
        const requests = cases.map(requestOf)
        const reported = cases.flatMap(({ isRepeated }, i) =>
          requests.slice(i, i + 1).concat(isRepeated ? requests.slice(i, i + 1) : []),
        )
        const shuffled = gen(fc.shuffledSubarray, reported, { minLength: reported.length })
        const expected = foldBatch(
          { requests, chains: createByOrigin() },
          { contentsIn: () => contentsOf, windows: WINDOWS },
        ).map(({ outcome }) => outcome)
        const found = foldInColumns(columnsOf(shuffled), { contentsOf, windows: WINDOWS })
        expect(sorted(found)).toEqual(sorted(expected))
        invocations += expected.filter(({ what }) => what === 'invocation').length
      },
    ),
    runs(500),
  )
  expect(invocations).toBeGreaterThan(1_000)
})

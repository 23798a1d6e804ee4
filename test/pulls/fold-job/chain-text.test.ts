import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isReferrerTag, type Digest, type RepositoryPath, type Tag } from '../../../src/events/reference.js'
import { addToChain } from '../../../src/pulls/fold/chain.js'
import { startChain, type FoldRequest } from '../../../src/pulls/fold/state.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { chainIn, textOf } from '../../../src/pulls/fold-job/chain-text.js'
import { createShare } from '../../../src/pulls/fold-job/share.js'
import { runs } from '../../servers/runs.js'

const PLACE = { registry: 'registry.example', repository: 'team/app', origin: 'one' }
const SECOND = 1_000_000

const request = fc.record(
  {
    id: fc.uuid(),
    requestId: fc.string({ unit: 'grapheme', maxLength: 8 }),
    object: fc.constantFrom('manifest', 'manifest', 'blob'),
    method: fc.constantFrom('GET', 'GET', 'HEAD'),
    status: fc.constantFrom(200, 200, 200, 206, 304, 404),
    tag: fc.constantFrom(
      'latest' as Tag,
      '1.0' as Tag,
      'latest' as Tag,
      '1.0' as Tag,
      `sha512-${'a'.repeat(64)}` as Tag,
    ),
    digest: fc.constantFrom('a', 'b', 'c').map((one) => `sha256:${one.repeat(64)}` as Digest),
    mediaType: fc.constantFrom('application/vnd.oci.image.index.v1+json', 'application/vnd.oci.image.manifest.v1+json'),
    bytes: fc.nat(),
    fetchesTwice: fc.boolean(),
  },
  { requiredKeys: ['id', 'object', 'method', 'status'] },
)

test('a chain that an earlier version stored can be read', () => {
  const at = 1_000 * SECOND
  const text = JSON.stringify([
    at,
    ['sha256:a', 'sha256:l', 'latest'],
    [['1', at - 5, at - 2, 1, 'latest', 0, 1, 70, 1, 'image', 0, [0], [], [0], [], [], [1]]],
    [['r', at]],
    [{ what: 'orphan', id: '2', at: at - 9, digest: 'sha256:x', bytes: 5 }, at - 8],
  ])
  expect(chainIn(text, PLACE, createShare())).toMatchObject({
    open: [
      {
        id: '1',
        last: at - 2,
        active: at - 2,
        layers: 1,
        fetchedLayers: ['sha256:l'],
        configured: [],
      },
    ],
    artifacts: [],
    awaitsSession: false,
    orphan: { ...PLACE, id: '2', bytes: 5, active: at - 8, blobs: [] },
  })
})

test('a chain is the same after it was stored and loaded', () => {
  let open = 0
  let orphans = 0
  let artifacts = 0
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat({ max: 400 }), request), { maxLength: 30 }), (requests) => {
      const chain = startChain(PLACE)
      let second = 0
      for (const [wait, one] of requests) {
        second += wait
        const folded: FoldRequest = {
          ...PLACE,
          ...one,
          repository: PLACE.repository as RepositoryPath,
          at: second * SECOND,
        }
        addToChain(chain, folded, {
          contentsOf: () => undefined,
          isReferrerTag,
          windows: WINDOWS,
          emit: () => undefined,
        })
      }
      open += chain.open.length
      artifacts += chain.artifacts.length
      orphans += Number(chain.orphan !== undefined)
      expect(chainIn(textOf(chain), PLACE, createShare())).toEqual({ ...chain, quietUntil: 0 })
    }),
    runs(300),
  )
  expect(open).toBeGreaterThan(100)
  expect(orphans).toBeGreaterThan(10)
  expect(artifacts).toBeGreaterThan(10)
})

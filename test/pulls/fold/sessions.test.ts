import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Digest, Tag } from '../../../src/events/reference.js'
import type { FoldRequest } from '../../../src/pulls/fold/state.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { fold } from '../../servers/folding.js'
import { runs } from '../../servers/runs.js'

const MINUTE = 60_000_000
const IMAGE = 'application/vnd.oci.image.manifest.v1+json'
const digest = (name: string): Digest => name as Digest

type Request = Partial<FoldRequest> & { at: number }

const sessionsOf = (requests: readonly Request[]): number =>
  fold(requests).filter((outcome) => outcome.what === 'invocation' && outcome.startsSession).length
const pull = (at: number): Request => ({ at, tag: 'latest' as Tag, digest: digest('m'), mediaType: IMAGE })

test.each<[string, Request]>([
  ['a HEAD of a blob, as before a push', { at: 0, object: 'blob', method: 'HEAD', digest: digest('l') }],
  ['a layer without a manifest', { at: 0, object: 'blob', digest: digest('l') }],
  ['a signature', { at: 0, tag: `sha256-${'0'.repeat(64)}.sig` as Tag, digest: digest('s') }],
])('a session that begins with %s counts once an image is requested in it', (_, first) => {
  expect(sessionsOf([first])).toBe(0)
  expect(sessionsOf([first, pull(MINUTE), pull(10 * MINUTE)])).toBe(1)
  expect(sessionsOf([first, pull(MINUTE), { ...first, at: 20 * MINUTE }, pull(45 * MINUTE)])).toBe(1)
  expect(sessionsOf([first, pull(MINUTE), { ...first, at: 60 * MINUTE }, pull(61 * MINUTE)])).toBe(2)
})

test('there are as many sessions as runs of requests with a request for an image', () => {
  const request = fc.record({
    wait: fc.integer({ min: 0, max: 60 * MINUTE }),
    object: fc.constantFrom<FoldRequest['object']>('manifest', 'blob'),
    method: fc.constantFrom('GET', 'HEAD'),
    digest: fc.constantFrom('a', 'b', 'c').map(digest),
  })
  fc.assert(
    fc.property(fc.array(request, { maxLength: 30 }), (cases) => {
      let at = 0
      let expected = 0
      let isCounted = false
      const requests = cases.map(({ wait, ...one }) => {
        at += wait
        if (wait > WINDOWS.session) isCounted = false
        if (one.object === 'manifest' && !isCounted) {
          expected++
          isCounted = true
        }
        return { ...one, at, mediaType: IMAGE }
      })
      expect(sessionsOf(requests)).toBe(expected)
    }),
    runs(300),
  )
})

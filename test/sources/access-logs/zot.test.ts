import { expect, test } from '@jest/globals'
import { zot } from '../../../src/sources/access-logs/zot.js'
import { at, linesOf, readWith } from './reading.js'

test('the messages "HTTP API" of Zot are requests, with the media type if the client accepts only one', () => {
  expect(readWith(zot, linesOf(zot))).toStrictEqual([
    {
      kind: 'request',
      at: at('2026-09-27T14:55:18.224102Z'),
      method: 'GET',
      status: 200,
      address: '127.0.0.1',
      userAgent: 'containerd/2.2.0+unknown',
      user: 'flintlock',
      bytes: 698,
      target:
        '/v2/liquidmetal-dev/flintlock-kernel/blobs/sha256:ac7c51d0a1e4bb5f6d9e8c2b3a4f5e6d7c8b9a0f1e2d3c4b5a69788796a5b4c3',
      mediaType: 'application/vnd.oci.image.config.v1+json',
    },
    {
      kind: 'request',
      at: at('2026-09-27T14:54:53.327480Z'),
      method: 'HEAD',
      status: 401,
      address: '::1',
      userAgent: 'containerd/2.2.0+unknown',
      bytes: 0,
      target: '/v2/team/app/manifests/1.4',
    },
    { kind: 'other' },
  ])
})

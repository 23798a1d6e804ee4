import { expect, test } from '@jest/globals'
import { cloudflare } from '../../../src/sources/access-logs/cloudflare.js'
import { at, linesOf, readWith } from './reading.js'

test('times of Logpush are RFC 3339, Unix nanoseconds or Unix seconds', () => {
  expect(readWith(cloudflare, linesOf(cloudflare))).toStrictEqual([
    {
      kind: 'request',
      at: at('2021-07-27T21:26:42Z'),
      method: 'GET',
      status: 200,
      address: '54.76.123.133',
      bytes: 845,
      requestId: '6758f291eb0b60df',
      target: '/messages/inbox?page=2',
      host: 'registry.example.com',
    },
    {
      kind: 'request',
      at: at('2018-12-17T17:27:08.048Z'),
      method: 'HEAD',
      status: 200,
      address: '2620:1f7:8c5::1f:949e:c04d',
      userAgent: 'docker/20.10.12',
      bytes: 0,
      requestId: '48ab194348a0c7a7',
      target: '/v2/team/app/manifests/1.4',
      host: 'test.logpull.load.com',
      mediaType: 'application/vnd.oci.image.index.v1+json',
    },
    {
      kind: 'request',
      at: at('2018-12-17T17:27:07Z'),
      method: 'GET',
      status: 200,
      address: '2620:1f7:8c5::1f:949e:c04d',
      bytes: 82257,
      requestId: '48ab194348a0c7a8',
      target: '/assets/logo.gif',
      host: 'test.logpull.load.com',
    },
  ])
})

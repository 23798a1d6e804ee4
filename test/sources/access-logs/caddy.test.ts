import { expect, test } from '@jest/globals'
import { caddy } from '../../../src/sources/access-logs/caddy.js'
import { at, linesOf, readWith } from './reading.js'

test('the messages "handled request" of Caddy are requests, with a Unix time or another one', () => {
  expect(readWith(caddy, linesOf(caddy))).toStrictEqual([
    {
      kind: 'request',
      at: at('2024-03-07T18:19:17.872107Z'),
      method: 'GET',
      status: 200,
      address: '127.0.0.1',
      userAgent: 'Go-http-client/1.1',
      bytes: 0,
      target: '/test/hi',
      host: 'localhost:8889',
    },
    {
      kind: 'request',
      at: at('2026-08-06T20:14:46.193625Z'),
      method: 'GET',
      status: 206,
      address: '98.113.67.178',
      userAgent: 'containerd/1.7.2',
      user: 'deployer',
      bytes: 99,
      target: '/v2/team/app/blobs/sha256:ac7c51d0a1e4bb5f6d9e8c2b3a4f5e6d7c8b9a0f1e2d3c4b5a69788796a5b4c3',
      host: 'registry.example.com',
      mediaType: 'application/octet-stream',
    },
    { kind: 'other' },
  ])
})

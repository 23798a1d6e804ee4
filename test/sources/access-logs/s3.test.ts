import { expect, test } from '@jest/globals'
import { s3 } from '../../../src/sources/access-logs/s3.js'
import { at, fixtureLines, readFixture, readLines } from './reading.js'

test("S3's server access log", () => {
  expect(readFixture(s3)).toEqual([
    {
      kind: 'object',
      at: at('2019-02-06T00:00:38Z'),
      address: '192.0.2.3',
      userAgent: 'S3Console/0.4',
      method: 'GET',
      status: 200,
      bytes: 113,
      requestId: '3E57427F3EXAMPLE',
      bucket: 'amzn-s3-demo-bucket1',
      operation: 'REST.GET.VERSIONING',
    },
    {
      kind: 'object',
      at: at('2026-11-21T11:39:41Z'),
      address: '203.0.113.7',
      userAgent: 'docker/24.0.7 "x',
      method: 'GET',
      status: 206,
      bytes: 1024,
      requestId: '891CE47D2EXAMPLE',
      bucket: 'acme-registry',
      object:
        'docker/registry/v2/blobs/sha256/e3/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/data',
      operation: 'REST.GET.OBJECT',
      referer:
        'https://registry.example.com/v2/team/app/blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    },
    {
      kind: 'object',
      at: at('2026-11-21T11:39:42Z'),
      address: '203.0.113.7',
      method: 'HEAD',
      status: 404,
      bytes: 297,
      requestId: 'A1206F460EXAMPLE',
      bucket: 'acme-registry',
      object: 'containers/images/sha256:7216c4a0c7c0e8c3686277aac4b76ae23cc2a76d00fe6bf57661ff7fa5c9dfc4',
      operation: 'REST.HEAD.OBJECT',
    },
    { kind: 'other' },
  ])
})

test('the lines of a copy have no id, because they may have the same one', () => {
  const [, line = ''] = fixtureLines('s3')
  const [copy] = readLines(s3, [line.replace('REST.GET.OBJECT', 'REST.COPY.OBJECT_GET')])
  expect(copy).toMatchObject({ kind: 'object', operation: 'REST.COPY.OBJECT_GET' })
  expect(copy).not.toHaveProperty('requestId')
})

test('other and cut lines', () => {
  const [, line = ''] = fixtureLines('s3')
  expect(readLines(s3, ['', line.replace(' acme-registry ', ' - '), line.slice(0, 300)])).toEqual([
    { kind: 'other' },
    { kind: 'other' },
    { kind: 'unreadable', detail: 'the line has no operation and request of a bucket' },
  ])
})

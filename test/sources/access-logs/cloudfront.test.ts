import { describe, expect, test } from '@jest/globals'
import { cloudfront } from '../../../src/sources/access-logs/cloudfront.js'
import { at, fixtureLines, readFixture, readLines } from './reading.js'

const ID = 'k6WGMNkEzR5BEM_SaF47gjtX9zBDO2m349OY2an0QPEaUum1ZOLro'

test("CloudFront's standard log in front of a registry and of its bucket", () => {
  expect(readFixture(cloudfront)).toEqual([
    { kind: 'other' },
    { kind: 'other' },
    {
      kind: 'request',
      at: at('2026-11-21T11:39:41Z'),
      address: '203.0.113.7',
      userAgent: 'docker/24.0.7 go/go1.20.10',
      method: 'GET',
      target: '/v2/team/app/manifests/1.4?ns=docker.io',
      host: 'registry.example.com',
      status: 200,
      bytes: 2390282,
      requestId: `${ID}w==`,
    },
    {
      kind: 'object',
      at: at('2026-11-21T11:39:42Z'),
      address: '2001:db8::7',
      userAgent: 'containerd/1.7.2 x',
      method: 'GET',
      status: 206,
      bytes: 3370706,
      requestId: `${ID}2==`,
      bucket: 'd111111abcdef8.cloudfront.net',
      object:
        'docker/registry/v2/blobs/sha256/e3/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/data',
      operation: 'GET',
      referer:
        'https://registry.example.com/v2/team/app/blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    },
    {
      kind: 'object',
      at: at('2026-11-21T11:39:43Z'),
      address: '203.0.113.7',
      method: 'HEAD',
      status: 0,
      bytes: 0,
      requestId: `${ID}3==`,
      bucket: 'd111111abcdef8.cloudfront.net',
      object: 'containers/images/sha256:7216c4a0c7c0e8c3686277aac4b76ae23cc2a76d00fe6bf57661ff7fa5c9dfc4',
      operation: 'HEAD',
    },
  ])
})

describe('the #Fields line', () => {
  const [, , record = ''] = fixtureLines('cloudfront')

  test('is needed', () => {
    expect(readLines(cloudfront, [record, '#Fields: date time sc-status cs-method', record])).toEqual([
      { kind: 'unreadable', detail: 'the log has no #Fields line before this line' },
      { kind: 'other' },
      { kind: 'unreadable', detail: 'the #Fields line has no field cs-uri-stem' },
    ])
  })

  test('decides the columns, and a later one decides again', () => {
    const lines = [
      '#Fields: sc-status cs-uri-stem cs-method time date',
      '200\t/v2/\tGET\t11:39:41\t2026-11-21',
      '200\t/data\tGET\t11:39:41\t2026-11-21',
      '200',
      '#Fields: date time cs-method cs-uri-stem sc-status',
      '2026-11-21\t11:39:41\tget\t/v2/\t200',
      '2026-11-21\t11:39:61\tGET\t/v2/%ff\t200',
    ]
    expect(readLines(cloudfront, lines)).toEqual([
      { kind: 'other' },
      { kind: 'request', at: at('2026-11-21T11:39:41Z'), method: 'GET', target: '/v2/', status: 200 },
      { kind: 'unreadable', detail: 'the line has no value of the field cs(Host)' },
      { kind: 'unreadable', detail: 'the line has no value of the field cs-uri-stem' },
      { kind: 'other' },
      { kind: 'unreadable', detail: 'method is not upper case letters' },
      { kind: 'unreadable', detail: 'time is not a time from 1970 to 2255' },
    ])
  })
})

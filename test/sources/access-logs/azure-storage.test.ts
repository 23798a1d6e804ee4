import { expect, test } from '@jest/globals'
import { azureStorage } from '../../../src/sources/access-logs/azure-storage.js'
import { at, fixtureLines, readFixture, readLines } from './reading.js'

test("Azure Storage's classic log", () => {
  expect(readFixture(azureStorage)).toEqual([
    {
      kind: 'object',
      at: at('2014-06-19T22:59:23.196776Z'),
      address: '192.100.0.102',
      userAgent: 'WA-Storage/4.0.1 (.NET CLR 4.0.30319.34014; Win32NT 6.3.9600.0)',
      method: 'GET',
      status: 200,
      bytes: 23,
      requestId: '61d2e3f6-bcb7-4cd1-a81e-4f8f497f0da2',
      bucket: 'sample-container1',
      object: '00001.txt',
      operation: 'GetBlob',
    },
    {
      kind: 'object',
      at: at('2011-08-09T18:52:40.924178Z'),
      address: '123.100.2.10',
      method: 'GET',
      status: 200,
      bytes: 100,
      requestId: 'a84aa705-8a85-48c5-b064-b43bd22979c3',
      bucket: 'thumb&nails',
      object: 'lake.jpg',
      operation: 'GetBlob',
    },
    {
      kind: 'object',
      at: at('2026-11-21T11:39:41.196776Z'),
      address: '2001:db8::7',
      userAgent: 'docker/24.0.7 "x" go/go1.20.10',
      method: 'HEAD',
      status: 200,
      bytes: 0,
      requestId: '61d2e3f6-bcb7-4cd1-a81e-4f8f497f0da3',
      bucket: 'registry',
      object:
        'docker/registry/v2/blobs/sha256/e3/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/data',
      operation: 'GetBlobProperties',
      referer:
        'https://registry.example.com/v2/team/app/blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    },
    { kind: 'other' },
  ])
})

test.each([
  ['PutBlock', 'PUT'],
  ['DeleteBlob', 'DELETE'],
  ['ListBlobs', 'GET'],
  ['GetBlobMetadata', 'HEAD'],
  ['BlobPreflightRequest', 'OPTIONS'],
])('the operation %s has the method %s', (operation, method) => {
  const [line = ''] = fixtureLines('azure-storage')
  expect(readLines(azureStorage, [line.replace(';GetBlob;', `;${operation};`)])).toMatchObject([{ operation, method }])
})

test('a later operation of a request has no id, because it has the same one', () => {
  const [line = ''] = fixtureLines('azure-storage')
  const [second] = readLines(azureStorage, [line.replace(';0;192', ';1;192')])
  expect(second).toMatchObject({ kind: 'object' })
  expect(second).not.toHaveProperty('requestId')
})

test('other, foreign and cut lines', () => {
  const [line = ''] = fixtureLines('azure-storage')
  expect(
    readLines(azureStorage, ['', line.replace(';blob;', ';queue;'), line.replace('1.0', '3.0'), line.slice(0, 150)]),
  ).toEqual([
    { kind: 'other' },
    { kind: 'other' },
    { kind: 'unreadable', detail: 'the line does not begin with version 1.0 or 2.0, a time and an operation' },
    { kind: 'unreadable', detail: 'the line has no service and no address of the client' },
  ])
})

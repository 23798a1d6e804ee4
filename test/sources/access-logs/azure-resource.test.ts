import { expect, test } from '@jest/globals'
import { azureResource } from '../../../src/sources/access-logs/azure-resource.js'
import { at, linesOf, readWith } from './reading.js'

test("requests to Azure's blobs are requests to objects, and requests to other services are not", () => {
  expect(readWith(azureResource, linesOf(azureResource))).toStrictEqual([
    {
      kind: 'object',
      at: at('2022-07-05T11:47:39.604712Z'),
      method: 'GET',
      status: 200,
      address: '198.51.100.20',
      userAgent: 'containerd/1.7.2',
      bytes: 99,
      requestId: '170464ae-101e-004b-6365-90ca9c000000',
      bucket: 'images',
      operation: 'GetBlob',
      object: 'docker/registry/v2/blobs/sha256/ac/ac7c/data',
      referer: 'https://registry.example.com/v2/team/app/blobs/sha256:ac7c',
    },
    {
      kind: 'object',
      at: at('2022-07-05T11:47:40.120Z'),
      method: 'GET',
      status: 200,
      address: '10.0.0.4',
      userAgent: 'Azure-Storage/12',
      bytes: 3120,
      requestId: '170464ae-101e-004b-6365-90ca9c000001',
      bucket: 'images',
      operation: 'ListBlobs',
    },
    {
      kind: 'object',
      at: at('2022-07-05T11:47:41Z'),
      method: 'HEAD',
      status: 404,
      address: '10.0.0.4',
      requestId: '170464ae-101e-004b-6365-90ca9c000002',
      bucket: 'images',
      operation: 'GetBlobProperties',
      object: 'café 100%.txt',
    },
    { kind: 'other' },
    { kind: 'other' },
  ])
})

const request = {
  time: '2022-07-05T11:47:39Z',
  category: 'StorageWrite',
  operationName: 'PutBlob',
  statusCode: 201,
  uri: 'https://a.blob.core.windows.net/images/a',
  properties: { serviceType: 'blob' },
}

test.each([
  ['PutBlob', 'PUT'],
  ['PutBlockList', 'PUT'],
  ['CopyBlob', 'PUT'],
  ['DeleteBlob', 'DELETE'],
  ['GetContainerProperties', 'HEAD'],
  ['GetBlobServiceProperties', 'GET'],
  ['QueryBlobContents', 'POST'],
  ['SubmitBatch', 'POST'],
  ['BlobBatch', 'POST'],
  ['PreflightBlobRequest', 'OPTIONS'],
])('the operation %s has the method %s', (operationName, method) => {
  expect(readWith(azureResource, [JSON.stringify({ ...request, operationName })])).toMatchObject([
    { method, operation: operationName },
  ])
})

test('a later operation of a request has no id, because it has the same one', () => {
  const lines = [0, 1].map((operationCount) => JSON.stringify({ ...request, correlationId: 'x', operationCount }))
  const [first, second] = readWith(azureResource, lines)
  expect(first).toMatchObject({ requestId: 'x' })
  expect(second).not.toHaveProperty('requestId')
})

test.each([
  ['an operation', { operationName: '' }, 'operationName is missing'],
  ['a URL', { uri: 'blob' }, 'uri is not a URL'],
  ['a decodable URL', { uri: 'https://a/images/%ff' }, 'uri is not percent-encoded UTF-8'],
  ['a status', { statusCode: 'Success' }, 'status is not an HTTP status'],
])('a request without %s is unreadable', (_, change, detail) => {
  expect(readWith(azureResource, [JSON.stringify({ ...request, ...change })])).toStrictEqual([
    { kind: 'unreadable', detail },
  ])
})

import { describe, expect, test } from '@jest/globals'
import { classify } from '../../../src/sources/access-logs/classify.js'
import type { LoggedObjectRequest, LoggedRequest } from '../../../src/sources/access-logs/log-format.js'
import { at } from './reading.js'

const NOW = at('2026-11-21T12:00:00Z')
const HEX = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const DIGEST = `sha256:${HEX}`
const OTHER_DIGEST = `sha256:${'7'.repeat(64)}`

const request = (change: Partial<LoggedRequest> = {}): unknown =>
  classify({ kind: 'request', at: NOW, method: 'GET', status: 200, target: '/v2/a/manifests/1', ...change }, NOW)

const BLOB = `docker/registry/v2/blobs/sha256/e3/${HEX}/data`
const FIELDS = { kind: 'object', at: NOW, method: 'GET', status: 200, bucket: 'b', operation: 'GET_Object' } as const
const objectRequest = (change: Partial<LoggedObjectRequest> = {}): unknown =>
  classify({ ...FIELDS, object: BLOB, ...change }, NOW)

describe('a request to a registry', () => {
  test('is a read with all that the line contains', () => {
    const line = {
      bytes: 400,
      address: '203.0.113.7',
      userAgent: 'docker/24',
      user: 'alice',
      host: 'Registry.Example.com:5000',
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      requestId: 'x',
    }
    expect(request(line)).toStrictEqual({
      ...line,
      class: 'manifest',
      at: NOW,
      method: 'GET',
      status: 200,
      host: 'registry.example.com:5000',
      repository: 'a',
      tag: '1',
    })
  })

  test.each([
    ['/v2/team/app/manifests/1.4?ns=docker.io', { class: 'manifest', repository: 'team/app', tag: '1.4' }],
    [`/v2/team/app/manifests/${DIGEST}`, { class: 'manifest', repository: 'team/app', digest: DIGEST }],
    [`/v2/team/app/manifests/sha256%3A${HEX}`, { class: 'manifest', repository: 'team/app', digest: DIGEST }],
    [`/v2/team/app/blobs/${DIGEST}#x`, { class: 'blob', repository: 'team/app', digest: DIGEST }],
    ['/v2/team/app/tags/list?n=100', { class: 'tags', repository: 'team/app' }],
    [`/v2/a/referrers/${DIGEST}?artifactType=x`, { class: 'referrers', repository: 'a', digest: DIGEST }],
    ['/v2/manifests/blobs/manifests/blobs', { class: 'manifest', repository: 'manifests/blobs', tag: 'blobs' }],
    [`/v2/a/blobs/uploads/blobs/${DIGEST}`, { class: 'blob', repository: 'a/blobs/uploads', digest: DIGEST }],
    ['/v2/a/tags/list/tags/list', { class: 'tags', repository: 'a/tags/list' }],
    ['/registry/v2/v2/a/manifests/v2', { class: 'manifest', repository: 'v2/a', tag: 'v2' }],
    ['//v2/a/manifests/1', { class: 'manifest', repository: 'a', tag: '1' }],
    ['/v2/team%2Fapp/manifests/1', { class: 'manifest', repository: 'team/app', tag: '1' }],
  ])('for %s is a read', (target, names) => {
    expect(request({ target })).toStrictEqual({ at: NOW, method: 'GET', status: 200, ...names })
  })

  test.each([
    ['/v2/', 'api_check'],
    ['/v2', 'api_check'],
    ['/registry/v2/?x', 'api_check'],
    ['/v2/_catalog?n=10', 'catalog'],
    ['/v2/a/blobs/uploads/', 'push'],
    ['/v2/a/blobs/uploads/0f6ad2a0?_state=x', 'push'],
    ['/', 'other_path'],
    ['*', 'other_path'],
    ['/v1/users/', 'other_path'],
    ['/healthz', 'other_path'],
    ['/v2/a', 'other_path'],
    ['/v2/a/b', 'other_path'],
    ['/v2//', 'other_path'],
    ['/v2/a/tags/reference/1', 'other_path'],
    ['/v2/_trivy/x/y', 'other_path'],
    ['/v2/A/manifests/1', 'bad_name'],
    ['/v2/a//b/manifests/1', 'bad_name'],
    ['/v2/manifests/1', 'bad_name'],
    [`/v2/${'a'.repeat(256)}/manifests/1`, 'bad_name'],
    ['/v2/a/manifests/', 'bad_name'],
    ['/v2/a/manifests/%ff', 'bad_name'],
    ['/v2/a/manifests/-x', 'bad_name'],
    ['/v2/a%00/tags/list', 'bad_name'],
    ['/v2/a/blobs/latest', 'bad_name'],
    ['/v2/a/referrers/latest', 'bad_name'],
    [`/${'v2/'.repeat(20_000)}`, 'other_path'],
  ])('for %.80s has the class %s alone', (target, name) => {
    expect(request({ target })).toStrictEqual({ class: name })
  })

  test.each([
    ['PUT', '/v2/a/manifests/1', 'push'],
    ['POST', '/prefix/v2/a/blobs/uploads/', 'push'],
    ['PATCH', '/v2/a/blobs/uploads/x', 'push'],
    ['DELETE', '/v2/a/tags/reference/1', 'push'],
    ['DELETE', '/v2/A/manifests/1', 'push'],
    ['POST', '/api/v2/users', 'other_path'],
    ['POST', '/login', 'other_path'],
    ['OPTIONS', '/v2/a/manifests/1', 'other_method'],
    ['CONNECT', 'example.com:443', 'other_path'],
  ])('%s %s has the class %s', (method, target, name) => {
    expect(request({ method, target })).toStrictEqual({ class: name })
  })

  test('without an answer is counted apart', () => {
    expect(request({ status: 0 })).toStrictEqual({ class: 'unanswered' })
    expect(request({ status: 0, target: '/v2/' })).toStrictEqual({ class: 'api_check' })
  })

  test('has bytes only if the client received them', () => {
    for (const change of [{ method: 'HEAD' }, { status: 304 }]) {
      expect(request({ ...change, bytes: 400 })).not.toHaveProperty('bytes')
    }
    expect(request({ status: 404, bytes: 400 })).toMatchObject({ class: 'manifest', status: 404, bytes: 400 })
  })

  test.each(['unknown', 'a b', '', '-x', 'a:99999'])('has no host if the host is %j', (host) => {
    expect(request({ host })).not.toHaveProperty('host')
  })

  test('more than a day ahead of the clock is counted apart', () => {
    const day = 86_400_000_000
    expect(request({ at: NOW + day })).toMatchObject({ class: 'manifest' })
    expect(request({ at: NOW + day + 1 })).toStrictEqual({ class: 'in_future' })
    expect(objectRequest({ at: NOW + day + 1 })).toStrictEqual({ class: 'in_future' })
  })
})

describe('a request to the bucket of a registry', () => {
  test('is a download with all that the line contains, and the image and host of its referer', () => {
    const line = { bytes: 400, address: '203.0.113.7', userAgent: 'docker/24', requestId: 'x' }
    const referer = `https://user:pw@EU.gcr.io/v2/acme/team/api/blobs/${DIGEST}`
    expect(objectRequest({ ...line, referer })).toStrictEqual({
      ...line,
      class: 'download',
      at: NOW,
      method: 'GET',
      status: 200,
      digest: DIGEST,
      repository: 'acme/team/api',
      host: 'eu.gcr.io',
    })
  })

  test.each([
    undefined,
    '-',
    '/v2/a/blobs/x',
    `https:///v2/a/blobs/${DIGEST}`,
    `ftp://gcr.io/v2/a/blobs/${DIGEST}`,
    `https://gcr.io/v2/A/blobs/${DIGEST}`,
    `https://gcr.io/v2/a/blobs/${OTHER_DIGEST}`,
    `https://gcr.io/v2/a/manifests/${OTHER_DIGEST}`,
    'https://gcr.io/v2/a/tags/list',
    'https://gcr.io/',
  ])('has no repository if the referer is %s', (referer) => {
    expect(objectRequest(referer === undefined ? {} : { referer })).toStrictEqual({
      class: 'download',
      at: NOW,
      method: 'GET',
      status: 200,
      digest: DIGEST,
    })
  })

  test.each([
    [`https://gcr.io/v2/a/manifests/1`, { repository: 'a', host: 'gcr.io' }],
    [`http://gcr.io:5000/x/v2/a/manifests/${DIGEST}`, { repository: 'a', host: 'gcr.io:5000' }],
    [`https://a_b..c/v2/a/blobs/${DIGEST}`, { repository: 'a' }],
    [`https://unknown/v2/a/blobs/${DIGEST}`, { repository: 'a' }],
  ])('has the repository of the referer %s', (referer, names) => {
    const { repository, host } = objectRequest({ referer }) as Record<string, unknown>
    expect({ repository, host }).toEqual({ host: undefined, ...names })
  })

  test.each([
    [BLOB, DIGEST],
    [`some/root/${BLOB}`, DIGEST],
    [`containers/images/${DIGEST}`, DIGEST],
    [`docker/registry/v2/blobs/sha512/ab/${'ab'.repeat(64)}/data`, `sha512:${'ab'.repeat(64)}`],
  ])('for %s is a download', (object, digest) => {
    expect(objectRequest({ object })).toMatchObject({ class: 'download', digest })
  })

  test.each([
    ['index.html', 'other'],
    [`containers/images/sha256:${HEX}x`, 'other'],
    [`containers/images/${DIGEST}:x`, 'other'],
    [`containers/images/sha256:${HEX.toUpperCase()}`, 'other'],
    [`x/containers/images/${DIGEST}`, 'other'],
    [`docker/registry/v2/blobs/sha256/e4/${HEX}/data`, 'other'],
    [`docker/registry/v2/blobs/sha256/e3/${HEX.slice(1)}/data`, 'other'],
    [`xdocker/registry/v2/blobs/sha256/e3/${HEX}/data`, 'other'],
    ['/docker/registry/v2/x', 'other'],
    ['docker/registry/v2/repositories/team/app/_manifests/tags/1/current/link', 'service_read'],
    ['root/docker/registry/v2/repositories/team/app/_uploads/x/startedat', 'service_read'],
    [`containers/repositories/library/app/manifest_${DIGEST}`, 'service_read'],
  ])('for %s has the class %s alone', (object, name) => {
    expect(objectRequest({ object })).toStrictEqual({ class: name })
  })

  test.each([
    ['GET', 206, 'partial'],
    ['GET', 304, 'not_modified'],
    ['GET', 404, 'failed'],
    ['GET', 503, 'failed'],
    ['HEAD', 200, 'head'],
    ['HEAD', 403, 'failed'],
  ])('%s with the status %i has the class %s', (method, status, name) => {
    expect(objectRequest({ method, status })).toMatchObject({ class: name, digest: DIGEST })
  })

  test.each<[string, Partial<LoggedObjectRequest>, string]>([
    ['a write', { method: 'PUT' }, 'push'],
    ['a deletion', { method: 'DELETE' }, 'push'],
    ['a change by a lifecycle rule', { method: 'PUT', userAgent: 'GCS Lifecycle Management' }, 'lifecycle'],
    ['a redirect', { status: 302 }, 'other'],
    ['a preflight request', { method: 'OPTIONS' }, 'other'],
    ['a request without an answer', { status: 0 }, 'unanswered'],
    ['a read of metadata', { operation: 'storage.objects.get' }, 'service_read'],
    ["a read by the registry's client", { userAgent: 'gcloud-golang-storage/20151204' }, 'service_read'],
    ["a HEAD by the registry's client", { method: 'HEAD', userAgent: 'aws-sdk-go/1.44 (linux)' }, 'service_read'],
  ])('%s has its class alone', (_, change, name) => {
    expect(objectRequest(change)).toStrictEqual({ class: name })
  })

  test("by a client with the name of the registry's is a download if it was redirected", () => {
    const referer = `https://gcr.io/v2/a/blobs/${DIGEST}`
    expect(objectRequest({ userAgent: 'aws-sdk-go/1.44', referer })).toMatchObject({ class: 'download' })
  })

  test('that only says it is a lifecycle rule is a download', () => {
    expect(objectRequest({ userAgent: 'GCS Lifecycle Management' })).toMatchObject({ class: 'download' })
  })

  test.each([
    ['GET_Bucket', 'listing'],
    ['storage.objects.list', 'listing'],
    ['REST.GET.BUCKET', 'listing'],
    ['ListBlobs', 'listing'],
    ['storage.buckets.get', 'other'],
    ['REST.GET.VERSIONING', 'other'],
  ])('for no object, with the operation %s, has the class %s', (operation, name) => {
    expect(classify({ ...FIELDS, operation }, NOW)).toStrictEqual({ class: name })
  })
})

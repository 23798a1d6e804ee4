import { describe, expect, test } from '@jest/globals'
import { combined } from '../../../src/sources/access-logs/combined.js'
import { at, readFixture, readLines } from './reading.js'

const LINUX = 'os/linux arch/amd64'

test('the combined log of distribution, nginx, ingress-nginx, Apache and Traefik', () => {
  expect(readFixture(combined)).toEqual([
    {
      kind: 'request',
      at: at('2026-11-21T11:39:41Z'),
      address: '127.0.0.1',
      userAgent: 'skopeo/1.9.3',
      method: 'GET',
      target: '/v2/team/app/manifests/1.4',
      status: 200,
      bytes: 400,
    },
    {
      kind: 'request',
      at: at('2018-07-17T21:54:38Z'),
      address: '10.0.0.3',
      userAgent: `docker/1.13.1 go/go1.9.2 kernel/3.10.0-862.6.3.el7.x86_64 ${LINUX} UpstreamClient(Docker-Client/1.13.1 \\(linux\\))`,
      method: 'GET',
      target: '/v2/',
      status: 401,
      bytes: 87,
    },
    {
      kind: 'request',
      at: at('2015-04-21T08:35:02Z'),
      address: '1.2.3.203',
      userAgent: `docker/1.6.0 go/go1.4.2 git-commit/4749651 kernel/3.13.0-49-generic ${LINUX}`,
      user: 'my-deployer',
      method: 'GET',
      target: '/v1/users/',
      status: 200,
      bytes: 4,
    },
    {
      kind: 'request',
      at: at('2023-04-07T17:30:24Z'),
      address: '192.168.205.1',
      userAgent:
        'docker/20.10.23 go/go1.18.10 git-commit/6051f14 kernel/5.15.49-linuxkit os/linux arch/arm64 UpstreamClient(Docker-Client/23.0.1-rd \\(darwin\\))',
      method: 'GET',
      target: '/v2/',
      status: 401,
      bytes: 76,
    },
    { kind: 'other' },
    {
      kind: 'request',
      at: at('2024-01-09T07:29:00Z'),
      address: '10.2.1.7',
      userAgent: 'containerd/1.7.2',
      user: 'ci user',
      method: 'HEAD',
      target:
        '/v2/team/app/manifests/sha256%3A7216c4a0c7c0e8c3686277aac4b76ae23cc2a76d00fe6bf57661ff7fa5c9dfc4?ns=docker.io',
      status: 200,
      bytes: 0,
    },
    {
      kind: 'request',
      at: at('2019-01-09T07:29:00Z'),
      address: '10.2.1.7',
      userAgent: 'curl/7.58.0',
      method: 'GET',
      target: '/v2/team/app/tags/list',
      status: 200,
      bytes: 43,
    },
    {
      kind: 'request',
      at: at('2026-11-21T10:39:42Z'),
      address: '203.0.113.9',
      userAgent: 'crane/0.19 "quoted" ä\u2028',
      method: 'GET',
      target: '/v2/team/app/manifests/1.4',
      host: 'registry.example.com:443',
      status: 304,
    },
    {
      kind: 'request',
      at: at('2026-11-21T15:09:43Z'),
      address: '2001:db8::7',
      user: 'alice',
      method: 'GET',
      target: '/v2/team/app/blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      host: 'registry.example.com:5000',
      status: 307,
      bytes: 0,
    },
    {
      kind: 'request',
      at: at('2024-04-14T08:23:45Z'),
      address: '10.0.0.5',
      user: 'bob',
      method: 'GET',
      target: '/v2/team/app/manifests/latest',
      status: 200,
      bytes: 1234,
    },
    {
      kind: 'request',
      at: at('2021-11-25T15:28:20Z'),
      address: '10.64.9.77',
      userAgent: `docker/20.10.9 go/go1.16.8 git-commit/79ea9d3 kernel/5.4.0-89-generic ${LINUX} UpstreamClient(Apache-HttpClient/4.5.5 \\(Java/1.8.0_302\\))`,
      method: 'HEAD',
      target: '/v2/cariti/catalog/blobs/sha256:ee671aafb583e2321880e275c94d49a49185006730e871435cd851f42d2a775d',
      status: 200,
      bytes: 0,
    },
    {
      kind: 'request',
      at: at('2026-11-21T11:39:44Z'),
      address: '10.0.0.6',
      method: 'GET',
      target: '/v2/',
      status: 401,
      bytes: 381,
    },
    { kind: 'other' },
  ])
})

describe('a line of the combined log', () => {
  const LINE = '10.0.0.1 - - [21/Nov/2026:11:39:41 +0000] "GET /v2/ HTTP/1.1" 200 2 "-" "curl/8"'
  const readOne = (line: string): unknown => readLines(combined, [line])[0]
  const BAD_TIME = { kind: 'unreadable', detail: 'time is not a time from 1970 to 2255' }
  const BAD_REQUEST = {
    kind: 'unreadable',
    detail: 'the request is not a method in upper case, a target and a protocol',
  }
  const BAD_STATUS = { kind: 'unreadable', detail: 'status is not an HTTP status' }

  test.each([
    ['21/Nov/2026', '31/Nov/2026', BAD_TIME],
    ['21/Nov/2026', '21/Nov/0000', BAD_TIME],
    ['21/Nov/2026', '21/Nov/9999', BAD_TIME],
    ['21/Nov/2026', '21/Nov/99999', BAD_TIME],
    ['21/Nov/2026', '21/Nov/1969', BAD_TIME],
    ['21/Nov/2026', '21/nov/2026', BAD_TIME],
    ['11:39:41', '24:00:00', BAD_TIME],
    [' +0000', '', BAD_TIME],
    [' +0000', ' +9900', BAD_TIME],
    ['GET', 'get', BAD_REQUEST],
    ['GET /v2/ HTTP/1.1', 'GET', BAD_REQUEST],
    ['GET /v2/ HTTP/1.1', 'GET  HTTP/1.1', BAD_REQUEST],
    ['GET /v2/ HTTP/1.1', 'GET /v2/ x', BAD_REQUEST],
    [' 200 ', ' 2000 ', BAD_STATUS],
    [' 200 ', ' two ', BAD_STATUS],
  ])('is unreadable with %j replaced by %j', (from, to, result) => {
    expect(readOne(LINE.replace(from, to))).toEqual(result)
  })

  test.each([
    ['10.0.0.1', '10.0.0.256', { address: undefined }],
    ['10.0.0.1', 'client.example.com', { address: undefined }],
    ['10.0.0.1', '[fe80::1%eth0]:5000', { address: 'fe80::1' }],
    [' 2 ', ' 99999999999999999999 ', { bytes: undefined }],
    [' 200 ', ' 000 ', { status: 0 }],
    ['curl/8', 'a'.repeat(600), { userAgent: 'a'.repeat(512) }],
    ['curl/8', '\\x00', { userAgent: undefined }],
    [' - - ', ` - ${'a'.repeat(1_025)} `, { user: undefined, status: 200 }],
    [' - - ', ` - ${'ä€'.repeat(500)} `, { user: undefined, status: 200 }],
    [' - - ', ' - a\\xff ', { user: undefined, status: 200 }],
    ['GET /v2/ HTTP', 'GET v2 HTTP', { kind: 'unreadable', detail: 'target is not a path' }],
    ['GET /v2/ HTTP', 'CONNECT example.com:443 HTTP', { target: 'example.com:443' }],
    ['curl/8', '\\x22\\x', { userAgent: '"\\x' }],
    ['curl/8', '\\xff', { userAgent: '\ufffd' }],
    ['curl/8', '\\U0001f600\\Uffffffff\\t', { userAgent: '😀\\Uffffffff\t' }],
    [' - -', ' - [x] "', { user: undefined, kind: 'unreadable' }],
    [' - - ', ' - a  b] [c ', { user: 'a  b] [c' }],
    ['/v2/', '/v2/a b', { target: '/v2/a b' }],
    ['/v2/', 'https://a:b@registry.example.com?x', { target: '/?x', host: 'registry.example.com' }],
    ['GET /v2/ HTTP/1.1', 'GET /v2/', { target: '/v2/' }],
    ['41 +0000', '41.123 +0000', { at: at('2026-11-21T11:39:41.123Z') }],
  ])('with %j replaced by %j has %j', (from, to, expected) => {
    const line = readOne(LINE.replace(from, to)) as Record<string, unknown>
    expect(Object.fromEntries(Object.keys(expected).map((key) => [key, line[key]]))).toEqual(expected)
  })

  test.each([
    '',
    '2026/11/21 11:39:41 [error] 9#0: *1 connect() failed, request: "GET /v2/ HTTP/1.1", upstream: "http://172.18.0.5:5000/v2/"',
    '/docker-entrypoint.sh: Configuration complete; ready for start up',
    'time="2026-11-21T11:39:41.967776743Z" level=info msg="response completed" go.version=go1.19.8',
    '{"level":"info","msg":"response completed"}',
  ])('is another line if it is %j', (line) => {
    expect(readOne(line)).toEqual({ kind: 'other' })
    expect(combined.recognizes(line)).toBe(false)
  })

  test.each(['10.0.0.1 - - [21/Nov', '10.0.0.1 - - [21/Nov/2026:11:39:41 +0000] "GET /v2/ HTTP', 'hello "world"'])(
    'is unreadable if it is %j',
    (line) => {
      expect(readOne(line)).toEqual({
        kind: 'unreadable',
        detail: 'the line is not of the form: address - user [time] "request" status bytes',
      })
    },
  )
})

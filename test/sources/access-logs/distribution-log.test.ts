import { expect, test } from '@jest/globals'
import { distributionLog } from '../../../src/sources/access-logs/distribution-log.js'
import { at, linesOf, readWith } from './reading.js'

test("distribution's application log reports each request once, as JSON or as text", () => {
  expect(readWith(distributionLog, linesOf(distributionLog))).toStrictEqual([
    {
      kind: 'request',
      at: at('2026-11-21T11:39:41.967776Z'),
      method: 'GET',
      status: 200,
      address: '203.0.113.7',
      userAgent: 'skopeo/1.9.3',
      bytes: 400,
      requestId: 'ebe87f9b-2b8c-4d0e-9f6a-3c1f0a7d5e42',
      target: '/v2/team/app/manifests/1.4',
      host: '127.0.0.1:5977',
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
    },
    {
      kind: 'request',
      at: at('2026-11-21T11:39:42Z'),
      method: 'GET',
      status: 404,
      address: '2001:db8::7',
      userAgent: 'skopeo/1.9.3',
      user: 'alice',
      bytes: 97,
      requestId: '0d3b5f0c-6a52-4d9b-8e5d-7a1f3c2b9e60',
      target: '/v2/team/app/manifests/none',
      host: '127.0.0.1:5977',
      mediaType: 'application/json',
    },
    { kind: 'other' },
    {
      kind: 'request',
      at: at('2024-06-10T09:22:53.251386Z'),
      method: 'GET',
      status: 200,
      address: '10.88.0.1',
      userAgent: 'docker/20.10.25 go/go1.18.1 os/linux arch/amd64 UpstreamClient(Docker-Client/20.10.25 \\(linux\\))',
      bytes: 2,
      requestId: '58510054-e56e-4cd3-943e-4dd94e8bb6a1',
      target: '/v2/',
      host: 'forward-hk-01:5000',
      mediaType: 'application/json',
    },
    { kind: 'other' },
    { kind: 'other' },
  ])
})

test("logstash's JSON has other names for the message and the time", () => {
  const line = JSON.stringify({
    '@timestamp': '2026-11-21T11:39:41Z',
    '@version': '1',
    message: 'response completed',
    'http.request.method': 'GET',
    'http.request.uri': '/v2/',
    'http.response.status': 200,
  })
  expect(distributionLog.recognizes(line)).toBe(true)
  expect(readWith(distributionLog, [line])).toStrictEqual([
    { kind: 'request', at: at('2026-11-21T11:39:41Z'), method: 'GET', status: 200, target: '/v2/' },
  ])
})

const TEXT = 'time="2024-06-10T09:22:53Z" msg="response completed" http.request.method=GET http.request.uri=/v2/'

test.each([
  ['a quote that is not closed', `${TEXT} a="b`, 'the line is not a list of key=value'],
  ['a backslash at its end', `${TEXT} a="b\\`, 'the line is not a list of key=value'],
  ['a key that occurs twice', `${TEXT} http.request.method=PUT`, 'the line is not a list of key=value'],
  ['text after a quoted value', `${TEXT} a="b"c`, 'the line is not a list of key=value'],
  ['a word without a value', `${TEXT} word`, 'the line is not a list of key=value'],
  ['no status', TEXT, 'status is missing'],
  ['a JSON object that is cut', '{"msg":"response completed","http.req', 'the line is not a JSON object'],
])('a line with %s is unreadable', (_, line, detail) => {
  expect(readWith(distributionLog, [line])).toStrictEqual([{ kind: 'unreadable', detail }])
})

test.each([
  ['a\\tb\\u00e9\\U0001F600', 'a\tbé😀'],
  ['a\\xffb\\x07', 'a\ufffdb\u0007'],
  ['a\\(b\\"c\\\\', 'a\\(b"c\\'],
  ['\\UFFFFFFFF', '\\UFFFFFFFF'],
])('a user agent with the escapes %s is decoded', (escaped, userAgent) => {
  const line = `${TEXT} http.response.status=200 http.request.useragent="${escaped}"`
  expect(readWith(distributionLog, [line])).toMatchObject([{ userAgent }])
})

test('a name with a lost byte is left out', () => {
  const line = `${TEXT} http.response.status=200 auth.user.name="a\\xff"`
  expect(readWith(distributionLog, [line])[0]).not.toHaveProperty('user')
})

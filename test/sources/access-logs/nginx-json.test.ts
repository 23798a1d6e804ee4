import { describe, expect, test } from '@jest/globals'
import { nginxJson } from '../../../src/sources/access-logs/nginx-json.js'
import { at, linesOf, readWith } from './reading.js'

test('the usual names of nginx, Istio and Envoy Gateway are found', () => {
  expect(readWith(nginxJson, linesOf(nginxJson))).toStrictEqual([
    {
      kind: 'request',
      at: at('2026-11-21T11:39:41Z'),
      method: 'GET',
      status: 200,
      address: '198.51.100.9',
      userAgent: 'docker/20.10.12 "quoted"',
      bytes: 400,
      target: '/v2/team/app/manifests/1.4',
    },
    {
      kind: 'request',
      at: at('2026-11-21T11:39:42Z'),
      method: 'HEAD',
      status: 304,
      address: '203.0.113.5',
      user: 'deployer',
      bytes: 210,
      target: '/v2/team/app/manifests/1.4',
      host: 'registry.example.com',
    },
    {
      kind: 'request',
      at: at('2026-11-21T11:39:42.345Z'),
      method: 'PUT',
      status: 201,
      address: '2001:db8::1',
      userAgent: 'buildkit/0.12',
      target: '/v2/team/app/manifests/1.5',
    },
    {
      kind: 'request',
      at: at('2026-11-21T11:39:45.500Z'),
      method: 'GET',
      status: 400,
      address: '203.0.113.5',
      target: '/v2/a b',
      host: 'registry.example.com',
    },
    {
      kind: 'request',
      at: at('2020-12-08T03:24:22.162Z'),
      method: 'GET',
      status: 418,
      address: '10.0.1.38',
      userAgent: 'curl/7.69.1',
      bytes: 135,
      target: '/status/418',
      host: 'httpbin:8000',
    },
    {
      kind: 'request',
      at: at('2023-03-23T04:09:46.421Z'),
      method: 'GET',
      status: 200,
      address: '198.51.100.17',
      userAgent: 'curl/7.86.0',
      bytes: 502,
      target: '/items',
      host: 'catalog.istioinaction.io',
    },
    {
      kind: 'request',
      at: at('2025-05-01T08:34:27.573Z'),
      method: 'GET',
      status: 429,
      address: '10.244.0.44',
      userAgent: 'containerd/1.7.2',
      bytes: 18,
      target: '/reviews/0',
      host: 'reviews:9080',
    },
    { kind: 'other' },
  ])
})

const request = { time: '2026-11-21T11:39:41Z', request: 'GET /v2/ HTTP/1.1', status: 200 }

describe('the names that a site gives', () => {
  const line = JSON.stringify({
    t: '2026-11-21T11:39:41Z',
    peer: '203.0.113.5',
    client_ip: '198.51.100.1',
    who: 'alice',
    req: 'GET /v2/ HTTP/1.1',
    st: '200',
    toString: 'x',
  })

  test('replace the usual names', () => {
    const fields = { time: 't', address: 'peer', user: 'who', target: 'req', status: 'st' }
    expect(readWith(nginxJson, [line], { fields })).toStrictEqual([
      {
        kind: 'request',
        at: at('2026-11-21T11:39:41Z'),
        method: 'GET',
        status: 200,
        address: '203.0.113.5',
        user: 'alice',
        target: '/v2/',
      },
    ])
  })

  test('may contain an id of the request, which no usual name has', () => {
    const withId = JSON.stringify({ ...request, request_id: '9c1185a5c5e9fc54612808977ee8f548' })
    expect(readWith(nginxJson, [withId])[0]).not.toHaveProperty('requestId')
    expect(readWith(nginxJson, [withId], { fields: { requestId: 'request_id' } })).toMatchObject([
      { requestId: '9c1185a5c5e9fc54612808977ee8f548' },
    ])
  })

  test('may contain the request line beside the usual names', () => {
    const both = JSON.stringify({
      ...(JSON.parse(line) as object),
      request_uri: '/other',
      request: 'PUT /third HTTP/1.1',
    })
    const fields = { time: 't', target: 'req', status: 'st' }
    expect(readWith(nginxJson, [both], { fields })).toMatchObject([{ method: 'GET', target: '/v2/' }])
  })

  test.each(['constructor', '__proto__', 'missing'])('may be %s, which the line does not contain', (user) => {
    const fields = { time: 't', user, target: 'req', status: 'st' }
    expect(readWith(nginxJson, [line], { fields })[0]).not.toHaveProperty('user')
  })
})

test.each([
  ['is cut', '{"time":"2026-11-21T11:39:41Z","request":"GET /v2', 'the line is not a JSON object'],
  ['has a quote that nginx did not escape', '{"http_user_agent":"a \\x22b\\x22"}', 'the line is not a JSON object'],
  ['is a list', '[1]', 'the line is not a JSON object'],
  ['has no time', JSON.stringify({ ...request, time: '-' }), 'time is missing'],
  ['has a duration as its time', JSON.stringify({ ...request, time: 0.004 }), 'time is not a time from 1970 to 2255'],
  [
    'has a time without a zone',
    JSON.stringify({ ...request, time: '2026-11-21 11:39:41' }),
    'time has no time zone: give the zone with --tz',
  ],
  ['has no method', JSON.stringify({ ...request, request: undefined, uri: '/v2/' }), 'method is missing'],
  ['has a method in lower case', JSON.stringify({ ...request, method: 'get' }), 'method is not upper case letters'],
  ['has a target without a slash', JSON.stringify({ ...request, request: 'GET v2 HTTP/1.1' }), 'target is not a path'],
  ['has a status in words', JSON.stringify({ ...request, status: 'ok' }), 'status is not an HTTP status'],
  ['has a status with two digits', JSON.stringify({ ...request, status: 20 }), 'status is not an HTTP status'],
  ['has a status with four digits', JSON.stringify({ ...request, status: 1000 }), 'status is not an HTTP status'],
])('a line that %s is unreadable', (_, line, detail) => {
  expect(readWith(nginxJson, [line])).toStrictEqual([{ kind: 'unreadable', detail }])
})

test.each([
  ['HTTP/0.9', 'GET /v2/', '/v2/'],
  ['an absolute URL without a path', 'GET http://registry.example.com?a=b HTTP/1.1', '/?a=b'],
  ['the asterisk', 'OPTIONS * HTTP/1.1', '*'],
  ['a host and a port', 'CONNECT example.com:443 HTTP/1.1', 'example.com:443'],
])('the target of a request line with %s', (_, line, target) => {
  expect(readWith(nginxJson, [JSON.stringify({ ...request, request: line })])).toMatchObject([{ target }])
})

test.each([
  ['0', 0],
  ['000', 0],
  [499, 499],
])('the status %p is that of a proxy', (status, number) => {
  expect(readWith(nginxJson, [JSON.stringify({ ...request, status })])).toMatchObject([{ status: number }])
})

test('bytes that are no HTTP request are no request', () => {
  const line = { ...request, request: '\u0016\u0003\u0001', request_method: '', request_uri: '', status: 400 }
  expect(readWith(nginxJson, [JSON.stringify(line)])).toStrictEqual([{ kind: 'other' }])
})

test('a time without a zone is in the zone of the options', () => {
  const line = JSON.stringify({ ...request, time: '2026-11-21 11:39:41' })
  expect(nginxJson.recognizes(line)).toBe(true)
  expect(readWith(nginxJson, [line], { timeZone: 'Europe/Berlin' })).toMatchObject([{ at: at('2026-11-21T10:39:41Z') }])
})

test('$request_uri is preferred to the request line, and the request line to other names', () => {
  expect(
    readWith(nginxJson, [
      JSON.stringify({ ...request, request_uri: '/v2/a?b', uri: '/v2/a' }),
      JSON.stringify({ ...request, uri: '/normalized' }),
    ]),
  ).toMatchObject([{ target: '/v2/a?b' }, { target: '/v2/' }])
})

import { expect, test } from '@jest/globals'
import { envoy } from '../../../src/sources/access-logs/envoy.js'
import { at, readFixture, readLines } from './reading.js'

test("Envoy's default format and Istio's", () => {
  expect(readFixture(envoy)).toEqual([
    {
      kind: 'request',
      at: at('2016-04-15T20:17:00.310Z'),
      address: '10.0.35.28',
      userAgent: 'nsq2http',
      method: 'POST',
      target: '/api/v1/locations',
      host: 'locations',
      status: 204,
      bytes: 0,
    },
    {
      kind: 'request',
      at: at('2023-01-05T07:07:57.886Z'),
      address: '172.17.0.1',
      userAgent: 'curl/7.84.0',
      method: 'GET',
      target: '/v2/team/app/manifests/1.4',
      host: 'catalog.istioinaction.io',
      status: 200,
      bytes: 1135,
    },
    {
      kind: 'request',
      at: at('2024-03-21T07:55:06.694Z'),
      address: '10.244.104.16',
      userAgent: 'curl/7.81.0-DEV',
      method: 'GET',
      target: '/ip',
      host: 'httpbin.org',
      status: 200,
      bytes: 31,
    },
    {
      kind: 'request',
      at: at('2022-05-19T10:01:06.795Z'),
      userAgent: 'curl/7.83.1-DEV',
      method: 'GET',
      target: '/',
      host: 'my-nginx.mesh-external.svc.cluster.local:443',
      status: 200,
      bytes: 615,
    },
    {
      kind: 'request',
      at: at('2020-03-02T11:22:33.444Z'),
      address: '203.0.113.7',
      userAgent: 'agent "with',
      method: 'HEAD',
      target: '/v2/team/app/manifests/1.4',
      host: 'f4648867-7d0a-9238-92f1-e15a5383f851',
      status: 0,
      bytes: 0,
    },
    { kind: 'other' },
  ])
})

test('messages of the proxy are other lines, and cut lines are unreadable', () => {
  expect(
    readLines(envoy, [
      '[2023-01-05 07:07:57.886][1][info][main] [source/server/server.cc:404] initializing epoch 0',
      '2024-03-21T07:52:44.407739Z\twarn\tHTTP request failed: Get "http://169.254.169.254/metadata/instance"',
      '[2023-01-05T07:07:57.886Z] "GET / HTTP/1.1" 200 - via_upstream - "-" 0 1135 6 6 "172.17',
      '[2023-01-05T07:07:57.886Z] "GET / HTTP/1.1" 200 - 0 1135 6',
      '2023-01-05T07:07:57.886Z GET /',
    ]),
  ).toEqual([
    { kind: 'other' },
    { kind: 'other' },
    { kind: 'unreadable', detail: 'the line has no four numbers and headers after the status' },
    { kind: 'unreadable', detail: 'the line has no four numbers and headers after the status' },
    { kind: 'unreadable', detail: 'the line does not begin with [time] "request"' },
  ])
})

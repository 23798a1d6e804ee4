import { expect, test } from '@jest/globals'
import { haproxy } from '../../../src/sources/access-logs/haproxy.js'
import { TimeZoneMissing } from '../../../src/sources/access-logs/log-format.js'
import { at, fixtureLines, OPTIONS, readFixture, readLines } from './reading.js'

test("HAProxy's httplog, with and without captured headers and a prefix", () => {
  expect(readFixture(haproxy, { ...OPTIONS, timeZone: 'Europe/Berlin' })).toEqual([
    {
      kind: 'request',
      at: at('2015-10-29T22:59:29.957Z'),
      address: '78.40.125.71',
      method: 'GET',
      target: '/test.php',
      status: 200,
      bytes: 423,
    },
    {
      kind: 'request',
      at: at('2026-08-19T16:06:38.120Z'),
      address: '10.0.0.9',
      userAgent: 'docker/24.0.7 go/go1.20.10 git-commit/311b9ff kernel/6.1.0 os/linux',
      method: 'HEAD',
      target: '/v2/team/app/manifests/1.4',
      status: 200,
      bytes: 512,
    },
    {
      kind: 'request',
      at: at('2026-10-08T08:12:01.001Z'),
      address: '2001:db8::1',
      method: 'GET',
      target: '/v2/team/app/blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855?a="b"',
      host: 'registry.example.com',
      status: 307,
      bytes: 512,
    },
    { kind: 'other' },
    { kind: 'other' },
    { kind: 'other' },
    { kind: 'other' },
  ])
})

test('a log without a zone is refused, with advice', () => {
  const open = (): unknown => haproxy.createReader({ notAfter: OPTIONS.notAfter })
  expect(open).toThrow(TimeZoneMissing)
  expect(open).toThrow('--tz')
})

test('a line whose request is cut, or without a time, is unreadable', () => {
  const [line = ''] = fixtureLines('haproxy')
  expect(readLines(haproxy, [line.slice(0, -5), line.replace('[29/Oct/2015', '[x')])).toEqual([
    { kind: 'unreadable', detail: 'the request has no closing quote' },
    { kind: 'unreadable', detail: 'the line has no accept time and no five timers' },
  ])
})

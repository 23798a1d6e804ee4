import { expect, test } from '@jest/globals'
import { harborNginx } from '../../../src/sources/access-logs/harbor-nginx.js'
import { TimeZoneMissing } from '../../../src/sources/access-logs/log-format.js'
import { at, fixtureLines, OPTIONS, readFixture, readLines } from './reading.js'

test("Harbor's proxy.log, with and without user and time in brackets", () => {
  const options = { timeZone: 'Europe/Berlin', notAfter: at('2017-08-08T07:01:38Z') }
  expect(readFixture(harborNginx, options)).toEqual([
    {
      kind: 'request',
      at: at('2017-08-08T07:01:38Z'),
      address: '10.112.122.203',
      userAgent:
        'docker/17.03.1-ce go/go1.7.5 git-commit/c6d412e kernel/4.4.0-21-generic os/linux arch/amd64 UpstreamClient(Docker-Client/17.03.1-ce \\(linux\\))',
      method: 'GET',
      target: '/v2/default-project/hello-world/manifests/signed',
      status: 200,
      bytes: 730,
    },
    {
      kind: 'request',
      at: at('2017-05-06T13:21:24Z'),
      address: '203.0.113.4',
      userAgent:
        'docker/18.09.5 go/go1.10.8 git-commit/e8ff056 kernel/3.10.0-957.el7.x86_64 os/linux arch/amd64 UpstreamClient(Docker-Client/18.09.5 \\(linux\\))',
      method: 'GET',
      target: '/v2/',
      status: 401,
      bytes: 87,
    },
    {
      kind: 'request',
      at: at('2016-12-31T22:59:59Z'),
      address: '203.0.113.4',
      method: 'GET',
      target: '/service/token?account=robot&client_id=docker&service=harbor-registry',
      status: 200,
      bytes: 893,
    },
    {
      kind: 'request',
      at: at('2017-06-15T06:40:01Z'),
      address: '172.18.0.3',
      userAgent:
        'docker/1.12.5 go/go1.6.4 git-commit/7392c3b kernel/4.4.0-58-generic os/linux arch/amd64 UpstreamClient(Docker-Client/1.12.5 \\(linux\\))',
      user: 'admin',
      method: 'GET',
      target: '/v2/library/busybox/manifests/latest',
      status: 200,
      bytes: 527,
    },
    { kind: 'other' },
  ])
})

test('a log without a zone is refused, with advice', () => {
  const open = (): unknown => harborNginx.createReader({ notAfter: OPTIONS.notAfter })
  expect(open).toThrow(TimeZoneMissing)
  expect(open).toThrow('--tz')
})

test('a line without the prefix, or without a request, is unreadable', () => {
  const [line = ''] = fixtureLines('harbor-nginx')
  const after = line.slice(line.indexOf('10.112'))
  expect(readLines(harborNginx, ['', after, line.replace(after, 'hello'), line.replace('Aug', 'Foo')])).toEqual([
    { kind: 'other' },
    { kind: 'unreadable', detail: 'the line has no syslog prefix of the service proxy' },
    { kind: 'unreadable', detail: 'the line is not of the form: address - "request" status bytes' },
    { kind: 'unreadable', detail: 'time is not a time from 1970 to 2255' },
  ])
})

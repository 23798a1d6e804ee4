import { expect, test } from '@jest/globals'
import { awsAlb } from '../../../src/sources/access-logs/aws-alb.js'
import { at, readFixture, readLines } from './reading.js'

test('the log of an Application Load Balancer', () => {
  expect(readFixture(awsAlb)).toEqual([
    {
      kind: 'request',
      at: at('2018-07-02T22:23:00.186641Z'),
      address: '192.168.131.39',
      userAgent: 'curl/7.46.0',
      method: 'GET',
      target: '/',
      host: 'www.example.com:80',
      status: 200,
      bytes: 366,
    },
    {
      kind: 'request',
      at: at('2026-11-21T11:39:41.186641Z'),
      address: '2001:db8::1',
      userAgent: 'containerd/1.7.2 "x"',
      method: 'GET',
      target: '/v2/team/app/manifests/1.4?ns=docker.io',
      host: 'registry.example.com:443',
      status: 304,
      bytes: 257,
    },
    {
      kind: 'request',
      at: at('2026-11-21T11:39:42.186641Z'),
      address: '203.0.113.7',
      method: 'GET',
      target: '/v2/',
      host: 'registry.example.com:443',
      status: 0,
      bytes: 0,
    },
    { kind: 'other' },
  ])
})

test('other and cut lines', () => {
  expect(
    readLines(awsAlb, ['', 'http 2018', 'http 2018-07-02T22:23:00.186641Z app/lb/50 192.168.131.39:2817 10.0']),
  ).toEqual([
    { kind: 'other' },
    { kind: 'unreadable', detail: 'the line does not begin with a type, a time and a load balancer' },
    { kind: 'unreadable', detail: 'the line has no request' },
  ])
})

import { expect, test } from '@jest/globals'
import { traefikJson } from '../../../src/sources/access-logs/traefik-json.js'
import { at, linesOf, readWith } from './reading.js'

test("Traefik's JSON lines are requests, with or without the headers", () => {
  expect(readWith(traefikJson, linesOf(traefikJson))).toStrictEqual([
    {
      kind: 'request',
      at: at('2024-04-14T08:23:45.123456Z'),
      method: 'GET',
      status: 200,
      address: '10.0.0.5',
      userAgent: 'Mozilla/5.0 (X11; Linux x86_64)',
      bytes: 1234,
      target: '/api/v1/users',
      host: 'app.example.com',
    },
    {
      kind: 'request',
      at: at('2025-02-28T12:11:34.109128Z'),
      method: 'HEAD',
      status: 404,
      address: '192.168.156.1',
      user: 'deployer',
      bytes: 75,
      target: '/v2/team/app/manifests/1.4?ns=docker.io',
      host: 'registry.example.com:5000',
      mediaType: 'application/vnd.oci.image.index.v1+json',
    },
    { kind: 'other' },
  ])
})

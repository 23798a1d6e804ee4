import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { createDefinitionReader } from '../../src/definitions/definition-file.js'
import { loadClients } from '../../src/pulls/client.js'

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url))
const clientOf = loadClients([path('definitions/clients.yml')], createDefinitionReader(path('definitions/schema')))

type Known = {
  ua: string
  client: string
  kind: string
  version: string | null
  os: string | null
  arch: string | null
  kernel?: string
  upstream_client?: string
  upstream_version?: string
  client_host_os?: string
}
const AGENTS = JSON.parse(readFileSync(path('test/fixtures/user-agents.json'), 'utf8')) as Known[]

test('there are 55 real user agents', () => {
  expect(AGENTS).toHaveLength(55)
})

test.each(AGENTS)('$ua', ({ ua, client, kind, version, os, arch, ...more }) => {
  const found = clientOf(ua)
  expect(found).toMatchObject({ client, kind })
  expect([found.version ?? null, found.os ?? null, found.arch ?? null]).toEqual([version, os, arch])
  // A few strings have fields that their description leaves out.
  if (more.kernel !== undefined) expect(found.kernel).toBe(more.kernel)
  if (more.upstream_client !== undefined) {
    expect([found.upstream, found.upstream_version]).toEqual([more.upstream_client, more.upstream_version])
  }
  if (more.client_host_os !== undefined) expect(found.host_os).toBe(more.client_host_os)
})

describe('a user agent that no rule knows', () => {
  test('keeps its product token and version, cut to 64 characters', () => {
    expect(clientOf('acme-puller/v1.2 (linux)')).toEqual({ client: 'acme-puller', kind: 'unknown', version: '1.2' })
    expect(clientOf('x'.repeat(65_536))).toEqual({ client: 'x'.repeat(64), kind: 'unknown' })
  })
  test('has no control characters left', () => {
    expect(clientOf('\u0000\u001b[31mred\u0007/1\n2')).toEqual({ client: '[31mred', kind: 'unknown' })
  })
  test('may have nothing that can be named', () => {
    expect(clientOf('((((')).toEqual({ client: 'unknown', kind: 'unknown' })
    expect(clientOf('')).toEqual({ client: 'none', kind: 'bot' })
  })
})

test('brackets that an access log escapes twice are brackets', () => {
  const agent = 'docker/24.0.6 os/linux UpstreamClient(Docker-Client/24.0.6 \\x5C(darwin\\x5C))'
  expect(clientOf(agent)).toMatchObject({ client: 'docker', upstream: 'Docker-Client', host_os: 'darwin' })
})

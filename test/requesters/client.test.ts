import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from '@jest/globals'
import { stringify } from 'yaml'
import { createDefinitionReader } from '../../src/definitions/definition-file.js'
import { LONGEST_AGENT, loadClients, type ClientOf } from '../../src/requesters/client.js'
import { temporaryFolder } from '../servers/process.js'

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

describe('agents of 64 KiB', () => {
  // The beginnings of what rules look for, again and again: each is read as its first 512 characters are.
  const parts = [
    ...AGENTS.map(({ ua }) => ua),
    ' ',
    '/',
    '(',
    ';',
    '\\',
    '\\x5C',
    '\u0000',
    '-1',
    ' UpstreamClient(a-1',
    ' docker/',
  ]
  test.each(parts.filter((part) => part !== ''))('%j', (part) => {
    const agent = part.repeat(65_536 / part.length)
    expect(clientOf(agent)).toEqual(clientOf(agent.slice(0, LONGEST_AGENT)))
  })
})

describe('rules of an operator', () => {
  const folder = temporaryFolder('clients')
  afterAll(() => {
    folder.remove()
  })
  const file = join(folder.path, 'clients.yml')
  const load = (...patterns: string[]): ClientOf => {
    const clients = patterns.map((pattern, i) => ({ client: `acme-${i}`, kind: 'bot', pattern }))
    writeFileSync(file, stringify({ clients }))
    return loadClients([file, path('definitions/clients.yml')], createDefinitionReader(path('definitions/schema')))
  }

  test.each([
    // Repeated, and repeated again.
    '^(a+)+$',
    '(a*)*b',
    '^(\\w+\\s?)*$',
    '^(([a-z])+.)+[A-Z]([a-z])+$',
    '^(?:\\S*/)*grype',
    '^(?:(?:a{1,30}){1,30})$',
    '(.*a){12}$',
    // Ways that overlap.
    '(a|a)*$',
    '^(a|aa)+$',
    '(?:a|b|ab)*c',
    '(x+x+)+y',
    '^(a|a?)+$',
    // One after the other: no exponent, and too long all the same.
    '\\s*\\s*\\s*$',
    '^\\s*\\s*\\s*$',
    'a*a*a*a*b',
    '\\S+/\\S+ \\S+$',
    '^.*?a.*?b.*?c.*?$',
    // Where one looks ahead.
    '^(?=(a+)+b)',
    '^(?!(a*)*$)c',
    // Optional, and nothing at all.
    '^(?:a?){30}a{30}$',
    '^(?:|){40}$',
    '^(?:(?:|){20})*x',
    '^(a{1000}){1000}$',
  ])('that may take too long are refused: %s', (pattern) => {
    expect(() => load('^acme/', pattern)).toThrow(
      /clients\.yml: clients\[1\]\.pattern (may take more than 1000000 steps|can match an empty text in more|repeats too much).*; begin it with \^/,
    )
  })

  test.each([
    ['(a)\\1', '\\1'],
    ['(?<=a+)b', '(?<=a+)'],
  ])('whose time cannot be bounded are refused: %s', (pattern, culprit) => {
    expect(() => load(pattern)).toThrow(`clients[0].pattern has ${culprit}, whose time cannot be bounded`)
  })

  test('also beside a pattern that is harmless', () => {
    const clients = [{ client: 'acme', kind: 'bot', pattern: '^acme', with: ['^acme', '(b+)+$'] }]
    writeFileSync(file, stringify({ clients }))
    expect(() => loadClients([file, file], createDefinitionReader(path('definitions/schema')))).toThrow(
      /clients\[0\]\.with\[1\] may take more than/,
    )
  })

  test('that are many, and slow together, are refused', () => {
    expect(() => load(...Array.from({ length: 30 }, () => '\\s+$'))).toThrow(
      /clients\.yml: clients may take \d+ steps together, expected at most 10000000/,
    )
  })

  test.each([
    ['^acme-agent/(?<version>[\\d.]+)(?: \\((?<os>\\w+); (?<arch>\\w+)\\))?$', 'acme-agent/1.2 (linux; amd64)'],
    ['^(?:[\\w.]+ )*acme$', 'a b.c acme'],
    ['(?:^|\\s)acme/(?<version>\\S+)(?!\\S)', 'proxy acme/1.2'],
    ['acme\\s*$', 'x acme  '],
    ['[a-z]+-acme', 'x-acme'],
    ['^(?:a|b|c)+/acme', 'abc/acme'],
  ])('that are quick are taken: %s', (pattern, agent) => {
    expect(load(pattern)(agent)).toMatchObject({ client: 'acme-0' })
  })
})

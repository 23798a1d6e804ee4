import { describe, expect, test } from '@jest/globals'
import { isHost, isRegistryName } from '../../src/events/registry-host.js'

describe('the host of a registry', () => {
  test.each([
    'registry.example.com',
    'registry.example.com:5000',
    'REGISTRY.Example',
    'localhost',
    'localhost:5000',
    'xn--bcher-kva.example',
    'a--b.example',
    'project_registry_1:5000',
    '3f2a9c',
    '123456789012:5000',
    '10.0.0.5',
    '10.0.0.5:5000',
    '[::1]',
    '[2001:db8::5]:5000',
    '[::ffff:10.0.0.5]:65535',
    `${'a'.repeat(63)}.example`,
  ])('may be %s', (host) => {
    expect(isHost(host)).toBe(true)
  })

  test.each([
    '',
    '-',
    '--',
    '..',
    '.',
    '_',
    '__proto__',
    'x]:-.',
    '[',
    '[]',
    '[::1',
    '::1',
    '[:::1]',
    '[fe80::1%eth0]',
    '[10.0.0.5]',
    '-a.example',
    'a-.example',
    '_a.example',
    'a_',
    'a..b',
    '.a',
    'a.',
    ':5000',
    'a:',
    'a:0',
    'a:65536',
    'a:123456',
    'a:b',
    'a:1:2',
    '10.0.0.256',
    '010.0.0.5',
    '10.0.0.5.6',
    'a.example.5',
    'a b',
    'a/b',
    'a@b',
    'a\n',
    'a\0',
    'bücher.example',
    'unknown@0123456789abcdef',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(127)}ab`,
  ])('is not %j', (host) => {
    expect(isHost(host)).toBe(false)
  })

  test('of any text begins with a letter, a digit or the bracket of an IPv6 address, and is no key of an object', () => {
    const parts = ['-', '_', '.', ':', '[', ']', 'a', '0', '1', ':1', '::', '__proto__', 'constructor'] as const
    for (const a of parts)
      for (const b of parts)
        for (const c of parts) {
          const text = a + b + c
          if (!isHost(text)) continue
          expect(text).toMatch(/^(?:[a-z0-9][a-z0-9._-]*|\[[0-9a-f:.]+\])(?::\d+)?$/)
        }
  })

  test('may be written in rows of earlier versions as no host is now: those stay readable', () => {
    for (const name of ['--', '..', '__proto__', 'x]:-.', 'a_', 'unknown', 'unknown@0123456789abcdef'])
      expect(isRegistryName(name)).toBe(true)
    for (const name of ['', 'a b', 'a\0', 'a'.repeat(256), 'a/b']) expect(isRegistryName(name)).toBe(false)
  })
})

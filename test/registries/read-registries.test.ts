import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import { readRegistries, RegistriesError } from '../../src/registries/read-registries.js'
import { createRegistries } from '../../src/registries/registries.js'
import { temporaryFolder } from '../servers/process.js'

const folder = temporaryFolder('registries')
afterAll(folder.remove)

const problemsIn = (...documents: unknown[]): readonly string[] => {
  try {
    readRegistries(documents)
  } catch (error) {
    if (error instanceof RegistriesError) return error.problems
    throw error
  }
  return []
}

const HOSTS = 'a host name, an IPv4 address or an IPv6 address in brackets, with a port or without'
const URL_EXPECTED = 'a: url is an address like https://registry.example.com:5000, without user and password'

describe('registries', () => {
  test('stand in the file of RegStat as names with their aliases', () => {
    const document = { 'Registry.example': ['10.0.0.5:5000', 'REG:5000'], 'other.example': [] }
    expect(readRegistries([document])).toEqual([
      { name: 'registry.example', aliases: ['10.0.0.5:5000', 'reg:5000'] },
      { name: 'other.example', aliases: [] },
    ])
  })

  test('may have an address and a way to log in, with the password in a file', () => {
    const password_file = join(folder.path, 'password')
    writeFileSync(password_file, 'secret\n')
    const given = { url: 'https://registry.internal:5000/', aliases: 'reg:5000', username: 'tallyman', password_file }
    expect(readRegistries([{ 'registry.example': given }])).toEqual([
      {
        name: 'registry.example',
        aliases: ['reg:5000'],
        url: 'https://registry.internal:5000',
        username: 'tallyman',
        password: 'secret',
      },
    ])
  })

  test('an alias names one registry: its events belong to that registry', () => {
    const registries = createRegistries(() =>
      readRegistries([{ 'a.example': ['x:1', 'y:2'] }, { 'b.example': ['z:3'] }]),
    )
    expect(['x:1', 'y:2', 'z:3', 'a.example', 'unknown'].map(registries.nameOf)).toEqual([
      'a.example',
      'a.example',
      'b.example',
      'a.example',
      'unknown',
    ])
  })

  test.each<[string, unknown[], string]>([
    ['an alias of two registries', [{ a: ['x'], b: ['x'] }], 'x: is an alias of a and an alias of b'],
    ['an alias of two files', [{ a: ['x'] }, { b: ['X'] }], 'x: is an alias of a and an alias of b'],
    ['an alias that is a registry', [{ a: ['b'], b: [] }], 'b: is a registry itself and an alias of a'],
    ['a registry that is there twice', [{ a: [] }, { A: ['x'] }], 'a: is there twice'],
    ['an alias that is no host', [{ a: ['x', 'x y'] }], `a: aliases: "x y" is not ${HOSTS}`],
    ['an alias that is no text', [{ a: [7] }], `a: aliases: "" is not ${HOSTS}`],
    ['a name that only looks like a host', [{ 'x]:-.': [] }], `x]:-.: is not the host of a registry: ${HOSTS}`],
    ['a url with such a host', [{ a: { url: 'https://-a-/' } }], URL_EXPECTED],
    ['a token host that is none', [{ a: { url: 'https://a', token_host: 'https://b/' } }], `a: token_host is ${HOSTS}`],
    [
      'a token host that is in no address',
      [{ a: { url: 'https://a', token_host: 'xn--0' } }],
      `a: token_host is ${HOSTS}`,
    ],
    [
      'a token host of a registry that is never asked',
      [{ a: { token_host: 'b' } }],
      'a: token_host needs url: without it, Tallyman sends no requests to the registry',
    ],
    ['a name that is no host', [{ 'https://a/': [] }], `https://a/: is not the host of a registry: ${HOSTS}`],
    [
      'a list',
      [['a']],
      'expected a map of names of registries, each to its aliases or to url, aliases, username, password',
    ],
    [
      'an unknown key',
      [{ a: { uri: 'x' } }],
      'a: uri is none of url, token_host, aliases, username, password, password_file, cache',
    ],
    ['an address with a password in it', [{ a: { url: 'https://u:secret@a/' } }], URL_EXPECTED],
    ['a user without a password', [{ a: { username: 'u' } }], 'a: username and password go together'],
    [
      'a password file that is not there',
      [{ a: { username: 'u', password_file: '/nowhere' } }],
      'a: password_file: /nowhere cannot be read: there is no such file or directory; check the path (ENOENT)',
    ],
  ])('%s is refused', (_, documents, problem) => {
    expect(problemsIn(...documents)).toContain(problem)
  })

  test.each([
    [true, true],
    ['true', true],
    ['Yes', true],
    ['on', true],
    ['off', false],
    [false, false],
    ['no', false],
    ['', undefined],
  ])('may be declared as a cache, or as none: %p', (cache, expected) => {
    expect(readRegistries([{ a: { url: 'http://a', cache } }])[0]?.cache).toBe(expected)
  })

  test('a cache that is neither true nor false is refused', () => {
    for (const cache of ['perhaps', 1, ['true']])
      expect(problemsIn({ a: { url: 'http://a', cache } })).toEqual(['a: cache is true or false'])
  })

  test('that are invalid when they are read again leave the previous ones in use', () => {
    let documents: unknown[] = [{ a: ['x'] }]
    const registries = createRegistries(() => readRegistries(documents))
    documents = [{ a: ['x'], b: ['x'] }]
    expect(registries.reload).toThrow(RegistriesError)
    expect(registries.nameOf('x')).toBe('a')
    documents = [{ b: ['x'] }]
    registries.reload()
    expect(registries.nameOf('x')).toBe('b')
  })
})

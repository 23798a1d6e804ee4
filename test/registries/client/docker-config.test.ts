import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Credentials } from '../../../src/registries/client/credentials.js'
import { createDockerCredentials } from '../../../src/registries/client/docker-config.js'
import { temporaryFolder } from '../../servers/process.js'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const ALICE = { username: 'alice', password: 'se:cret' }
const alice = { auth: base64('alice:se:cret') }

describe("Docker's configuration", () => {
  const folder = temporaryFolder('docker-config')
  const file = join(folder.path, 'config.json')
  const asked = join(folder.path, 'asked')
  const find = async (config: unknown, ...hosts: string[]): Promise<Credentials | undefined> => {
    writeFileSync(file, typeof config === 'string' ? config : JSON.stringify(config))
    writeFileSync(asked, '')
    return createDockerCredentials({ file, env: { PATH: `${folder.path}:/usr/bin:/bin` } })(hosts)
  }
  const helper = (name: string, script: string): void => {
    const path = join(folder.path, `docker-credential-${name}`)
    writeFileSync(path, `#!/bin/sh\nserver=$(cat)\necho "$1 ${name} $server" >> ${asked}\n${script}\n`)
    chmodSync(path, 0o755)
  }
  beforeAll(() => {
    helper('keys', `echo '{"ServerURL":"x","Username":"alice","Secret":"se:cret"}'`)
    helper('token', `echo '{"Username":"<token>","Secret":"refresh"}'`)
    helper('empty', `echo 'credentials not found in native keychain'; exit 1`)
    helper('broken', `echo 'the secret is hunter2'; exit 2`)
    helper('loud', `yes hunter2 | head -c 100000`)
    helper('odd', `echo '["hunter2"]'`)
  })
  afterAll(() => {
    folder.remove()
  })

  test.each([
    ['registry.example', 'registry.example'],
    ['registry.example:5000', 'registry.example:5000'],
    ['https://registry.example/v1/', 'registry.example'],
    ['https://registry.example', 'registry.example'],
    ['http://Registry.Example:5000/v2/', 'registry.example:5000'],
    ['registry.example:443', 'registry.example'],
    ['https://index.docker.io/v1/', 'registry-1.docker.io'],
    ['docker.io', 'registry-1.docker.io'],
    ['https://index.docker.io/v1/', 'docker.io'],
    ['[::1]:5000', '[::1]:5000'],
  ])('finds the key %s for %s', async (key, host) => {
    expect(await find({ auths: { 'other.example': { auth: base64('eve:x') }, [key]: alice } }, host)).toEqual(ALICE)
  })

  test('finds nothing for another port, another host, or without a section', async () => {
    const config = { auths: { 'registry.example': alice, 'registry.example.evil': alice } }
    expect(await find(config, 'registry.example:5000')).toBeUndefined()
    expect(await find(config, 'example')).toBeUndefined()
    expect(await find({}, 'registry.example')).toBeUndefined()
  })

  test('takes the first of the hosts that a registry is known under', async () => {
    expect(await find({ auths: { b: alice, c: { auth: base64('eve:x') } } }, 'a', 'b', 'c')).toEqual(ALICE)
  })

  test('the host itself goes before an address of it', async () => {
    expect(await find({ auths: { 'https://a/v1/': { auth: base64('eve:x') }, a: alice } }, 'a')).toEqual(ALICE)
  })

  test('reads a user name and password beside each other, and a refresh token before them', async () => {
    expect(await find({ auths: { a: ALICE } }, 'a')).toEqual(ALICE)
    expect(await find({ auths: { a: { ...alice, identitytoken: 'refresh' } } }, 'a')).toEqual({
      identityToken: 'refresh',
    })
    expect(await find({ auths: { a: {} } }, 'a')).toBeUndefined()
  })

  test('asks the helper of the host, then the helper for all, then looks into auths', async () => {
    const auths = { a: { auth: base64('eve:x') } }
    expect(await find({ auths, credHelpers: { a: 'keys' }, credsStore: 'token' }, 'a')).toEqual(ALICE)
    expect(await find({ auths, credHelpers: { a: 'empty' }, credsStore: 'token' }, 'a')).toEqual({
      identityToken: 'refresh',
    })
    expect(readFileSync(asked, 'utf8')).toBe('get empty a\nget token a\n')
    expect(await find({ auths, credsStore: 'empty' }, 'a')).toEqual({ username: 'eve', password: 'x' })
  })

  test('asks for Docker Hub by the address that helpers know', async () => {
    expect(await find({ credsStore: 'keys' }, 'registry-1.docker.io')).toEqual(ALICE)
    expect(readFileSync(asked, 'utf8')).toBe('get keys https://index.docker.io/v1/\n')
  })

  test.each([
    ['no JSON', '{"auths": {"a": hunter2', 'is not JSON'],
    ['no object', '["hunter2"]', 'is not an object of JSON'],
    ['auths of another type', { auths: ['hunter2'] }, ': auths is not an object'],
    ['an auth of another type', { auths: { a: { auth: 1 } } }, ': auths["a"].auth is not text'],
    [
      'an auth without a colon',
      { auths: { a: { auth: base64('hunter2') } } },
      ': auths["a"].auth is not the base64 of user:password',
    ],
    ['a helper that is a path', { credsStore: '../x' }, ': credsStore is not the name of a helper'],
    [
      'a helper that is a command',
      { credHelpers: { a: 'x;reboot' } },
      ': credHelpers["a"] is not the name of a helper',
    ],
  ])('says what is wrong, and no secret: %s', async (_, config, message) => {
    const problem = await find(config, 'a').catch((error: unknown) => String(error))
    expect(problem).toContain(file + (message.startsWith(':') ? message : ` ${message}`))
    expect(problem).not.toContain('hunter2')
  })

  test.each([
    ['broken', 'docker-credential-broken failed (2) when asked for a'],
    ['loud', 'docker-credential-loud printed too much when asked for a'],
    ['odd', 'docker-credential-odd answered without Username and Secret when asked for a'],
    ['missing', 'docker-credential-missing is not on the PATH when asked for a'],
  ])('says which helper failed, and no secret: %s', async (name, message) => {
    const problem = await find({ credsStore: name }, 'a').catch((error: unknown) => String(error))
    expect(problem).toContain(message)
    expect(problem).not.toContain('hunter2')
  })

  test('says that the file is missing', async () => {
    await expect(createDockerCredentials({ file: '/nowhere/config.json' })(['a'])).rejects.toThrow(
      '/nowhere/config.json cannot be read: there is no such file or directory; check the path (ENOENT)',
    )
  })
})

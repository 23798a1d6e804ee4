import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { SignJWT } from 'jose'
import { parseTimestamp } from '../../src/events/calendar.js'
import { DirectoryUnavailable, type UserDirectory } from '../../src/users/directory.js'
import { createHashedNames } from '../../src/users/hashed-names.js'
import { createIdentify, createIdentifyName, type Identify } from '../../src/users/identify.js'
import { readPublicKey } from '../../src/users/public-key.js'
import { createUserTokenVerifier } from '../../src/users/user-token.js'
import { anEvent } from '../servers/events.js'

const AT = '2026-11-18T10:00:00Z'
const seconds = Math.floor((parseTimestamp(AT) ?? 0) / 1e6)
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const other = generateKeyPairSync('rsa', { modulusLength: 2048 })

const sign = async (claims: object, key: KeyObject = privateKey, expires = seconds + 60): Promise<string> =>
  new SignJWT({ user_info: claims })
    .setProtectedHeader({ alg: 'RS256' })
    .setIssuedAt(seconds)
    .setExpirationTime(expires)
    .sign(key)

const hashed = createHashedNames('a key')
const gitlab: UserDirectory = {
  kind: 'gitlab',
  idOf: (name) => (name === 'alice' ? '17' : undefined),
  close: () => undefined,
}
const verifyUserToken = createUserTokenVerifier(publicKey)
const withTokens = (directory: UserDirectory): Identify =>
  createIdentify({
    identifyName: createIdentifyName({ directory, deployTokens: hashed, hasUserTokens: true }),
    verifyUserToken,
  })
const withoutTokens = (directory: UserDirectory): Identify =>
  createIdentify({ identifyName: createIdentifyName({ directory, deployTokens: hashed, hasUserTokens: false }) })
const plain = withoutTokens(hashed)

describe('who is behind an event, by name', () => {
  test('a name is hashed; an anonymous client has no id', async () => {
    expect(await plain(anEvent({ name: 'alice' }), 'user')).toEqual({ member: hashed.idOf('alice') })
    expect(await plain(anEvent(), 'user')).toBeUndefined()
  })

  test('a name the directory does not know is unknown', async () => {
    const identify = withoutTokens(gitlab)
    expect(await identify(anEvent({ name: 'alice' }), 'user')).toEqual({ member: '17' })
    expect(await identify(anEvent({ name: 'bob' }), 'user')).toEqual({ uncounted: 'unknown_user' })
  })

  test('a deploy token is no user: its name is hashed whatever the directory', async () => {
    const identify = withoutTokens(gitlab)
    expect(await identify(anEvent({ name: 'alice' }), 'deploy_token')).toEqual({ member: hashed.idOf('alice') })
  })

  test('if the directory is unavailable, the name is looked up later; an error in the directory is not hidden', async () => {
    const failing = (error: Error): Identify => withoutTokens({ ...gitlab, idOf: async () => Promise.reject(error) })
    expect(await failing(new DirectoryUnavailable('x'))(anEvent({ name: 'Alice' }), 'user')).toEqual({
      unresolved: 'alice',
    })
    await expect(failing(new TypeError('bug'))(anEvent({ name: 'alice' }), 'user')).rejects.toThrow('bug')
  })
})

describe("GitLab's user token", () => {
  const identified = async (token: string, kind: 'user' | 'deploy_token' = 'user'): Promise<unknown> =>
    withTokens(hashed)(anEvent({ name: 'alice', token, at: AT }), kind)

  test('gives the id of the user, or of the deploy token', async () => {
    expect(await identified(await sign({ token_type: 'gitlab_or_ldap', username: 'alice', user_id: 42 }))).toEqual({
      member: '42',
    })
    expect(await identified(await sign({ token_type: 'deploy_token', deploy_token_id: 7 }), 'deploy_token')).toEqual({
      member: '7',
    })
  })

  test.each<[string, () => Promise<string>]>([
    ['signed with another key', async () => sign({ user_id: 42 }, other.privateKey)],
    ['expired when the event happened', async () => sign({ user_id: 42 }, privateKey, seconds - 60)],
    ['without an id', async () => sign({ username: 'alice' })],
    ['that is no token', async () => Promise.resolve('not.a.token')],
    [
      'unsigned',
      async () =>
        Promise.resolve(
          `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"user_info":{"user_id":42}}').toString('base64url')}.`,
        ),
    ],
    [
      'signed with the public key as if it were a shared secret',
      async () =>
        new SignJWT({ user_info: { user_id: 42 } })
          .setProtectedHeader({ alg: 'HS256' })
          .sign(new TextEncoder().encode(publicKey.export({ type: 'spki', format: 'pem' }).toString())),
    ],
  ])('%s counts for no user', async (_, token) => {
    expect(await identified(await token())).toEqual({ uncounted: 'bad_user_token' })
  })

  test('that was valid when the event happened is valid however late it arrives', async () => {
    expect(await identified(await sign({ user_id: 42 }, privateKey, seconds + 1))).toEqual({ member: '42' })
  })

  test('is required if names could only be hashed, so that no user counts twice under two ids', async () => {
    expect(await withTokens(hashed)(anEvent({ name: 'alice' }), 'user')).toEqual({ uncounted: 'no_user_token' })
    expect(await withTokens(gitlab)(anEvent({ name: 'alice' }), 'user')).toEqual({ member: '17' })
  })

  test('is asked for of deploy tokens whatever the directory: none counts by its id and by a hash of its name', async () => {
    const token = await sign({ token_type: 'deploy_token', deploy_token_id: 7 })
    for (const directory of [hashed, gitlab]) {
      const identify = withTokens(directory)
      expect(await identify(anEvent({ name: 'deployer', token, at: AT }), 'deploy_token')).toEqual({ member: '7' })
      expect(await identify(anEvent({ name: 'deployer' }), 'deploy_token')).toEqual({ uncounted: 'no_user_token' })
      expect(await identify(anEvent(), 'deploy_token')).toBeUndefined()
    }
  })

  test('keys are read in the forms that GitLab has them', () => {
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const pkcs1 = publicKey.export({ type: 'pkcs1', format: 'pem' }).toString()
    const secret = createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }))
      .export({ type: 'pkcs8', format: 'pem' })
      .toString()
    for (const text of [pem, pkcs1, secret]) expect(readPublicKey(text).asymmetricKeyType).toBe('rsa')
    expect(() => readPublicKey('nothing')).toThrow(/no key or certificate in PEM form/)
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey
    expect(() => readPublicKey(short.export({ type: 'spki', format: 'pem' }).toString())).toThrow(
      /fewer than 2048 bits/,
    )
    const curve = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey
    expect(() => readPublicKey(curve.export({ type: 'spki', format: 'pem' }).toString())).toThrow(/no RSA key/)
  })
})

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { fingerprintOf, loadSecrets, type Secrets } from '../src/secrets.js'
import { temporaryFolder } from './servers/process.js'

describe('secrets', () => {
  let folder: ReturnType<typeof temporaryFolder>
  beforeEach(() => {
    folder = temporaryFolder('secrets')
  })
  afterEach(() => {
    folder.remove()
  })
  const dataDir = (): string => join(folder.path, 'data')
  const load = (configured: { notificationTokens?: string[]; usersKey?: string } = {}): Secrets =>
    loadSecrets({ dataDir: dataDir(), notificationTokens: [], apiTokens: [], ...configured })
  const mode = (path: string): number => statSync(path).mode & 0o777

  test('that are missing are made once, each its own, in files that only their owner may read', () => {
    const first = load()
    expect(first.made).toEqual(['notification.token', 'api.token', 'users.key'])
    expect(readdirSync(dataDir()).sort()).toEqual([...first.made].sort())
    expect(mode(dataDir())).toBe(0o700)
    for (const file of first.made) expect(mode(join(dataDir(), file))).toBe(0o600)
    const secrets = [first.notificationTokens[0], first.apiTokens[0], first.usersKey]
    for (const secret of secrets) expect(secret).toMatch(/^tm[0-9a-f]{40}$/)
    expect(new Set(secrets).size).toBe(3)

    expect(load()).toEqual({ ...first, made: [] })
  })

  test('that are configured take the place of files', () => {
    const { notificationTokens, usersKey, made } = load({ notificationTokens: ['a', 'b'], usersKey: 'ours' })
    expect([notificationTokens, usersKey, made]).toEqual([['a', 'b'], 'ours', ['api.token']])
  })

  test('that were put into a file by hand are read from it', () => {
    const { made } = load()
    for (const file of made) writeFileSync(join(dataDir(), file), `  my ${file}\n`)
    expect(load()).toMatchObject({ notificationTokens: ['my notification.token'], usersKey: 'my users.key', made: [] })
    expect(readFileSync(join(dataDir(), 'api.token'), 'utf8')).toBe('  my api.token\n')
  })

  test('are told apart by a fingerprint that is not the key', () => {
    expect(fingerprintOf('one key')).toMatch(/^[0-9a-f]{16}$/)
    expect(fingerprintOf('one key')).toBe(fingerprintOf('one key'))
    expect(fingerprintOf('one key')).not.toBe(fingerprintOf('another key'))
  })
})

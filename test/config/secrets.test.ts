import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { ApiToken } from '../../src/tokens/api-tokens.js'
import { fingerprintOf, loadSecrets, markShown, removeMade, type Secrets } from '../../src/config/secrets.js'
import { temporaryFolder } from '../servers/process.js'

const TOKENS = ['notification.token', 'api.token']
const FILES = [...TOKENS, 'users.key'].sort()

describe('secrets', () => {
  let folder: ReturnType<typeof temporaryFolder>
  beforeEach(() => {
    folder = temporaryFolder('secrets')
  })
  afterEach(() => {
    folder.remove()
  })
  const dataDir = (): string => join(folder.path, 'data')
  const load = (
    configured: { notificationTokens?: { token: string }[]; apiTokens?: ApiToken[]; usersKey?: string } = {},
  ): Secrets => loadSecrets({ dataDir: dataDir(), notificationTokens: [], apiTokens: [], ...configured })
  const mode = (path: string): number => statSync(path).mode & 0o777

  test('a token for all is made beside those with narrower scopes, and the commands find it first', () => {
    const scrape = { token: 'scrape', scope: 'metrics' } as const
    const { apiTokens } = load({ apiTokens: [scrape] })
    expect(apiTokens).toEqual([{ token: expect.stringMatching(/^tm/), scope: 'admin' }, scrape])
    const all = { token: 'all', scope: 'admin' } as const
    expect(load({ apiTokens: [scrape, all] }).apiTokens).toEqual([all, scrape])
  })

  test('that are missing are made once, each its own, in files that only their owner may read', () => {
    const first = load()
    expect(first.unshown).toEqual(TOKENS)
    markShown(dataDir(), first.unshown)
    expect(readdirSync(dataDir()).sort()).toEqual(FILES)
    expect(mode(dataDir())).toBe(0o700)
    for (const file of FILES) expect(mode(join(dataDir(), file))).toBe(0o600)
    const secrets = [first.notificationTokens[0]?.token, first.apiTokens[0]?.token, first.usersKey]
    for (const secret of secrets) expect(secret).toMatch(/^tm[0-9a-f]{40}$/)
    expect(new Set(secrets).size).toBe(3)

    expect(first.made.toSorted()).toEqual(FILES)
    expect(load()).toEqual({ ...first, unshown: [], made: [] })
  })

  test('that are tokens count as not shown until somebody was shown them, whatever becomes of the start', () => {
    const first = load()
    expect(load()).toEqual({ ...first, made: [] })
    markShown(dataDir(), first.unshown)
    expect(load().unshown).toEqual([])
  })

  test('that a refused start made are removed, and those that were there before stay', () => {
    removeMade(dataDir(), load())
    expect(existsSync(dataDir())).toBe(false)
    const { made } = load({ usersKey: 'a key of 16 letters' })
    expect(made.toSorted()).toEqual(TOKENS.toSorted())
    removeMade(dataDir(), load())
    expect(readdirSync(dataDir())).toEqual(expect.arrayContaining(TOKENS))
    expect(readdirSync(dataDir())).not.toContain('users.key')
  })

  test('are created again if a crash left an empty file, but not if the file cannot be read', () => {
    load()
    writeFileSync(join(dataDir(), 'api.token'), '')
    const { apiTokens } = load()
    expect(apiTokens[0]?.token).toMatch(/^tm[0-9a-f]{40}$/)
    expect(load().apiTokens).toEqual(apiTokens)
    rmSync(join(dataDir(), 'api.token'))
    mkdirSync(join(dataDir(), 'api.token'))
    expect(load).toThrow('EISDIR')
  })

  test.each(FILES)('in a file that was not written completely are refused, as in %s', (file) => {
    load()
    const whole = readFileSync(join(dataDir(), file), 'utf8')
    const parts = [0, 1, 2, 20, 41].map((length) => whole.slice(0, length))
    for (const text of ['\0'.repeat(43), ...parts.map((part) => part.padEnd(43, '\0'))]) {
      writeFileSync(join(dataDir(), file), text)
      expect(load).toThrow(`${join(dataDir(), file)} contains NUL bytes`)
    }
    for (const part of parts.slice(1)) {
      writeFileSync(join(dataDir(), file), part)
      expect(load).toThrow(`${join(dataDir(), file)} contains only the beginning of a secret; restore it`)
    }
    writeFileSync(join(dataDir(), file), whole)
    expect(load().made).toEqual([])
  })

  test('that are configured are used instead of files', () => {
    const { notificationTokens, usersKey, unshown } = load({
      notificationTokens: [{ token: 'a' }, { token: 'b' }],
      usersKey: 'ours',
    })
    expect([notificationTokens, usersKey, unshown]).toEqual([[{ token: 'a' }, { token: 'b' }], 'ours', ['api.token']])
  })

  test('that were put into a file by hand are read from it', () => {
    markShown(dataDir(), load().unshown)
    for (const file of FILES) writeFileSync(join(dataDir(), file), `  my ${file}\n`)
    expect(load()).toMatchObject({
      notificationTokens: [{ token: 'my notification.token' }],
      usersKey: 'my users.key',
      unshown: [],
    })
    expect(readFileSync(join(dataDir(), 'api.token'), 'utf8')).toBe('  my api.token\n')
  })

  test('are distinguished by a fingerprint that is not the key', () => {
    expect(fingerprintOf('one key')).toMatch(/^[0-9a-f]{16}$/)
    expect(fingerprintOf('one key')).toBe(fingerprintOf('one key'))
    expect(fingerprintOf('one key')).not.toBe(fingerprintOf('another key'))
  })
})

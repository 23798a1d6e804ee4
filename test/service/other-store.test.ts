import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from '@jest/globals'
import { markPostgres, otherStoreWarnings } from '../../src/service/other-store.js'
import { unusedTokenWarnings } from '../../src/service/unused-token.js'
import { temporaryFolder } from '../servers/process.js'

const database_url = 'postgres://u:secret@h/d'

describe('a data directory', () => {
  const folder = temporaryFolder('other-store')
  const data_dir = join(folder.path, 'data')
  beforeEach(() => {
    rmSync(data_dir, { recursive: true, force: true })
    mkdirSync(data_dir)
  })
  afterAll(() => {
    folder.remove()
  })
  const serversWarning = (): string | undefined => otherStoreWarnings({ database_url, data_dir })[0]
  const embeddedWarning = (): string | undefined => otherStoreWarnings({ database_url: undefined, data_dir })[0]

  test('that is new, or not there, causes no warning', () => {
    expect([serversWarning(), embeddedWarning()]).toEqual([undefined, undefined])
    rmSync(data_dir, { recursive: true })
    markPostgres({ database_url, data_dir })
    expect(existsSync(data_dir)).toBe(false)
    expect([serversWarning(), embeddedWarning()]).toEqual([undefined, undefined])
  })

  test('with an embedded database causes one while DATABASE_URL is set, until the files are moved away', () => {
    writeFileSync(join(data_dir, 'initialised'), '')
    expect(embeddedWarning()).toBeUndefined()
    expect(serversWarning()).toMatch(
      /^DATABASE_URL is set, and \S+ contains an embedded database, which is not used: its inventory and pulls are not in PostgreSQL/,
    )
    expect(serversWarning()).not.toContain('secret')
    rmSync(join(data_dir, 'initialised'))
    expect(serversWarning()).toBeUndefined()
  })

  test('of a service that used PostgreSQL causes one while DATABASE_URL is not set, until the marker is removed', () => {
    markPostgres({ database_url: undefined, data_dir })
    expect(embeddedWarning()).toBeUndefined()
    markPostgres({ database_url, data_dir })
    markPostgres({ database_url, data_dir })
    expect(serversWarning()).toBeUndefined()
    expect(embeddedWarning()).toMatch(
      /^DATABASE_URL is not set, so the embedded database in \S+ is used, but a service /,
    )
    rmSync(join(data_dir, 'postgresql.used'))
    expect(embeddedWarning()).toBeUndefined()
  })

  test('that cannot be written is no failure of the start', () => {
    mkdirSync(join(data_dir, 'postgresql.used'))
    expect(() => {
      markPostgres({ database_url, data_dir })
    }).not.toThrow()
  })

  test('with a made token that the configured ones lack causes a warning without the token', () => {
    const warning = (...tokens: string[]): string | undefined =>
      unusedTokenWarnings({ data_dir, notification_tokens: tokens.map((token) => ({ token })) })[0]
    expect(warning('tmNew')).toBeUndefined()
    writeFileSync(join(data_dir, 'notification.token'), 'tmMade\n')
    expect(warning()).toBeUndefined()
    expect(warning('tmNew', 'tmMade')).toBeUndefined()
    expect(warning('tmNew')).toMatch(/notification\.token is refused, .* add it under "\*"; else remove the file$/)
    expect(warning('tmNew')).not.toContain('tmMade')
  })
})

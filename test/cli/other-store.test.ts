import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import { API_TOKEN, startService } from '../servers/service.js'
import { embeddedFolder, openServers } from '../servers/stores.js'
import { temporaryFolder } from '../servers/process.js'
import { spawnTallyman, tallyman, type Result } from '../servers/tallyman.js'

describe('an installation that moved from the embedded store to servers', () => {
  const folder = embeddedFolder()
  const empty = temporaryFolder('no-database')
  afterAll(() => {
    folder.remove()
    empty.remove()
  })
  const run = async (environment: Record<string, string>, ...args: string[]): Promise<Result> =>
    // The thread of "sql" is a file of the build.
    (args[0] === 'sql' ? spawnTallyman : tallyman)(
      { TALLYMAN_DATA_DIR: folder.path, TALLYMAN_API_TOKENS: API_TOKEN, ...environment },
      ...args,
    )
  const USED = /^tallyman: warning: DATABASE_URL is not set, so the embedded database in \S+ is used, but a service /

  test('is warned of: the service and status by the files, commands without DATABASE_URL by what the service noted', async () => {
    const embedded = await run({}, 'status')
    expect(embedded.out).toMatch(/pglite \S+ answers \(the embedded database in \S+\)/)
    expect(embedded.out).not.toContain('warning: DATABASE_URL')

    const servers = await openServers()
    const service = await startService(folder.path, servers.environment)
    expect(service.process.output()).toMatch(/"msg":"DATABASE_URL is set, and \S+ contains an embedded database, which/)
    const status = await run(servers.environment, 'status')
    expect(status.out).toMatch(
      /postgresql \S+ answers \(the server of DATABASE_URL\)\n {2}redis \S+ answers \(REDIS_URL\)/,
    )
    expect(status.out).toMatch(/warning: DATABASE_URL is set, and \S+ contains an embedded database/)
    await service.process.end('SIGTERM')
    await servers.close()

    for (const args of [['counters', 'list'], ['registries'], ['sql', 'select 1'], ['pulls']]) {
      const { code, err } = await run({}, ...args)
      expect([args, code]).toEqual([args, 0])
      expect(err).toMatch(USED)
    }
    const forgotten = await run({}, 'status')
    expect(forgotten.out).toMatch(/warning: DATABASE_URL is not set, so the embedded database/)
    expect(forgotten.err).toBe('')
  })

  test('says so, and creates no database, if there was never an embedded one', async () => {
    const servers = await openServers()
    const service = await startService(empty.path, servers.environment)
    await service.process.end('SIGTERM')
    await servers.close()
    expect(existsSync(join(empty.path, 'postgresql.used'))).toBe(true)
    const { code, err } = await tallyman({ TALLYMAN_DATA_DIR: empty.path }, 'counters', 'list')
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(/^tallyman: there is no embedded database in .* has used PostgreSQL: set DATABASE_URL\n$/),
    ])
    expect(readdirSync(empty.path)).not.toContain('db')
  })
})

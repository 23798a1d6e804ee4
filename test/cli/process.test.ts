import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from '@jest/globals'
import { eventually } from '../servers/process.js'
import { ROOT } from '../servers/service.js'
import { embeddedFolder, openServers } from '../servers/stores.js'
import { startStub } from '../servers/stub.js'
import { spawnTallyman } from '../servers/tallyman.js'

/** Other tests of commands run them in one process (test/servers/tallyman.ts). */
describe('a command in a process of its own', () => {
  test('ends with exit code 0 after help, and 1 after a mistake', async () => {
    expect(await spawnTallyman({}, '--help')).toMatchObject({ code: 0, out: expect.stringMatching(/^Usage: tallyman/) })
    expect(await spawnTallyman({}, 'sing')).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringMatching(/unknown command 'sing'[^]*see tallyman --help/),
    })
  })

  test.each([
    ['Redis and PostgreSQL', openServers],
    ['the embedded stores', async () => Promise.resolve({ environment: {}, close: async () => Promise.resolve() })],
  ])('ends when it has closed %s', async (_, open) => {
    const folder = embeddedFolder()
    const { environment, close } = await open()
    const answer = await spawnTallyman({ TALLYMAN_DATA_DIR: folder.path, ...environment }, 'counters', 'list')
    expect(answer).toEqual({ code: 0, out: 'no counters yet: no event with a known user has arrived\n', err: '' })
    await close()
    folder.remove()
  })

  test('that failed ends at once, whatever timers and sockets are left of what failed', async () => {
    const folder = embeddedFolder()
    writeFileSync(join(folder.path, 'db', 'global', 'pg_control'), 'nonsense')
    const endless = 'data:text/javascript,setInterval(() => undefined, 1000)'
    const environment = { TALLYMAN_DATA_DIR: folder.path, NODE_OPTIONS: `--import "${endless}"` }
    expect(await spawnTallyman(environment, 'counters', 'list')).toEqual({
      code: 1,
      out: '',
      err: expect.stringMatching(/^tallyman: the embedded database in .* failed/),
    })
    folder.remove()
  })

  test('closes the stores after SIGINT, and says how to go on', async () => {
    const folder = embeddedFolder()
    // Ten seconds of work at the usual rate.
    const repositories = Array.from({ length: 200 }, (_, i) => `team/app-${i}`)
    const registry = await startStub((_request, response) => response.end(JSON.stringify({ repositories, tags: [] })))
    const registries = JSON.stringify({ 'registry.example': { url: registry.url } })
    const child = execFile(process.execPath, [join(ROOT, 'dist', 'main.js'), 'inventory', 'reconcile'], {
      env: { PATH: process.env.PATH, TALLYMAN_DATA_DIR: folder.path, TALLYMAN_REGISTRIES: registries },
    })
    if (!child.stderr) throw new Error('no standard error')
    try {
      const ended = Promise.all([text(child.stderr), once(child, 'exit')])
      await eventually('the registry is asked', async () => Promise.resolve(registry.requests.length > 2))
      child.kill('SIGINT')
      const [err] = await ended
      // Progress may be printed before it.
      expect(err).toMatch(/^tallyman: stopped; the same command continues where it stopped\n$/m)
      expect(child.exitCode).toBe(1)
    } finally {
      child.kill('SIGKILL')
      await registry.stop()
      folder.remove()
    }
  })
})

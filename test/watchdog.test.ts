import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { build } from 'esbuild'
import { temporaryFolder } from './servers/process.js'
import { ROOT } from './servers/service.js'

const run = promisify(execFile)

describe('the watchdog', () => {
  const folder = temporaryFolder('watchdog')
  const file = join(folder.path, 'watchdog.mjs')
  beforeAll(async () => {
    await build({ entryPoints: [join(ROOT, 'src', 'watchdog.ts')], outfile: file, platform: 'node', format: 'esm' })
  })
  afterAll(() => {
    folder.remove()
  })

  /** How a process ends that starts a watchdog and goes on so. */
  const ended = async (then: string): Promise<{ signal?: string; stderr: string; stdout: string }> =>
    run(process.execPath, [
      '--input-type=module',
      '--eval',
      `import { startWatchdog } from ${JSON.stringify(pathToFileURL(file).href)}
       const watchdog = startWatchdog({ limitMs: 2_000, lines: { blocked: 'stood still', late: 'took too long' } })
       ${then}`,
    ]).catch((error: unknown) => error as { signal: string; stderr: string; stdout: string })

  test('ends a process whose event loop stands still, with one line', async () => {
    expect(await ended('for (;;);')).toMatchObject({ signal: 'SIGKILL', stderr: 'stood still\n' })
  })

  test('ends a process that was to end by now, whatever it does', async () => {
    const stopping = `watchdog.endWithin(1_000); setInterval(() => undefined, 10)`
    expect(await ended(stopping)).toMatchObject({ signal: 'SIGKILL', stderr: 'took too long\n' })
  })

  test('keeps no process alive', async () => {
    expect(await ended('console.log("done")')).toMatchObject({ stdout: 'done\n', stderr: '' })
  })
})

import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { build } from 'esbuild'
import { blockedJobsFile, createRunningJobs, readRest } from '../src/blocked-jobs.js'
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
  const ended = async (
    then: string,
    before = 'const note = undefined',
  ): Promise<{ signal?: string; stderr: string; stdout: string }> =>
    run(process.execPath, [
      '--input-type=module',
      '--eval',
      `import { startWatchdog } from ${JSON.stringify(pathToFileURL(file).href)}
       ${before}
       const watchdog = startWatchdog({ limitMs: 2_000, lines: { blocked: 'stood still', late: 'took too long' }, note })
       ${then}`,
    ]).catch((error: unknown) => error as { signal: string; stderr: string; stdout: string })

  test('ends a process whose event loop stands still, with one line', async () => {
    expect(await ended('for (;;);')).toMatchObject({ signal: 'SIGKILL', stderr: 'stood still\n' })
  })

  test('notes what was under way, so that it rests after the next start', async () => {
    const running = createRunningJobs()
    for (const job of ['settle', 'fold pulls', 'summarize']) running.begin(job)
    running.end('fold pulls')
    const names = JSON.stringify([...new Uint8Array(running.names)])
    const note = `{ file: ${JSON.stringify(blockedJobsFile(folder.path))}, names: new SharedArrayBuffer(${running.names.byteLength}) }`
    const result = await ended(
      'new Uint8Array(note.names).set(names); for (;;);',
      `const names = ${names}; const note = ${note}`,
    )
    expect(result).toMatchObject({ signal: 'SIGKILL', stderr: 'stood still\n' })
    const { at } = JSON.parse(readFileSync(blockedJobsFile(folder.path), 'utf8')) as { at: string }
    const after = (minutes: number): Date => new Date(Date.parse(at) + minutes * 60_000)
    const until = after(20)
    expect(readRest(folder.path, after(1))).toEqual({ jobs: ['settle', 'summarize'], until })
    expect(readRest(folder.path, until)).toBeUndefined()
    // A clock that was set back does not make them rest for longer.
    expect(readRest(folder.path, after(-1))).toBeUndefined()
  })

  test.each(['', '{', '[]', '{"at":"x","jobs":"settle"}', '{"at":"2026-11-28T00:00:00Z","jobs":7}'])(
    'leaves no job at rest by a note that cannot be read: %s',
    (text) => {
      writeFileSync(blockedJobsFile(folder.path), text)
      expect(readRest(folder.path, new Date('2026-11-28T00:01:00Z'))).toBeUndefined()
    },
  )

  test('ends a process that was to end by now, whatever it does', async () => {
    const stopping = `watchdog.endWithin(1_000); setInterval(() => undefined, 10)`
    expect(await ended(stopping)).toMatchObject({ signal: 'SIGKILL', stderr: 'took too long\n' })
  })

  test('keeps no process alive', async () => {
    expect(await ended('console.log("done")')).toMatchObject({ stdout: 'done\n', stderr: '' })
  })
})

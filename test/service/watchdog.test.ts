import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { build } from 'esbuild'
import pino from 'pino'
import {
  blockedJobsFile,
  createJobRests,
  onJobError,
  readBlockedJobs,
  restWarnings,
  type BlockedJob,
} from '../../src/service/job-rests.js'
import { machineClock } from '../servers/clock.js'
import { temporaryFolder } from '../servers/process.js'
import { StatementEnded } from '../servers/seen-statements.js'
import { ROOT } from '../servers/service.js'

const run = promisify(execFile)

describe('the watchdog', () => {
  const folder = temporaryFolder('watchdog')
  const file = join(folder.path, 'watchdog.mjs')
  beforeAll(async () => {
    await build({
      entryPoints: [join(ROOT, 'src', 'service', 'watchdog.ts')],
      outfile: file,
      platform: 'node',
      format: 'esm',
    })
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

  const MINUTE = 60_000
  const afterMinutes = (at: Date, minutes: number): Date => new Date(at.getTime() + minutes * MINUTE)

  const isRestingAt = (job: string, at: Date): boolean => createJobRests(folder.path, () => at).isResting(job)

  /** Ends a process that stands still while these jobs are under way. @returns what is known then, and when that was noted */
  const blockedBy = async (...jobs: string[]): Promise<{ known: BlockedJob[]; at: Date }> => {
    const started = machineClock()
    const rests = createJobRests(folder.path, machineClock)
    for (const job of ['idle', ...jobs]) rests.onBegin(job)
    rests.onEnd('idle')
    const bytes = Buffer.from(new Uint8Array(rests.note))
    const text = JSON.stringify(bytes.subarray(0, bytes.indexOf(0)).toString())
    const note = `{ file: ${JSON.stringify(blockedJobsFile(folder.path))}, text: new SharedArrayBuffer(${bytes.length}) }`
    const result = await ended(
      'new Uint8Array(note.text).set(Buffer.from(text)); for (;;);',
      `const text = ${text}; const note = ${note}`,
    )
    expect(result).toMatchObject({ signal: 'SIGKILL', stderr: 'stood still\n' })
    const known = readBlockedJobs(folder.path, machineClock())
    return { known, at: known.find(({ job }) => job === jobs[0])?.at ?? started }
  }

  const restsOf = (known: BlockedJob[]): Record<string, number> =>
    Object.fromEntries(known.map(({ job, minutes }) => [job, minutes]))

  /** What previous processes noted, so many minutes ago each. */
  const noteBefore = (...noted: [job: string, ago: number, minutes: number][]): void => {
    const now = machineClock()
    const known = noted.map(([job, ago, minutes]) => ({ job, minutes, at: afterMinutes(now, -ago) }))
    writeFileSync(blockedJobsFile(folder.path), JSON.stringify(known))
  }

  test('notes what was under way, so that it rests after the next start', async () => {
    writeFileSync(blockedJobsFile(folder.path), '')
    const { known, at } = await blockedBy('settle', 'rotate salts', 'summarize')
    expect(restsOf(known)).toEqual({ settle: 20, summarize: 20 })
    expect(isRestingAt('settle', afterMinutes(at, 19))).toBe(true)
    expect(isRestingAt('settle', afterMinutes(at, 20))).toBe(false)
    expect(isRestingAt('fold pulls', afterMinutes(at, 1))).toBe(false)
    // A clock that was set back does not make them rest for longer.
    expect(isRestingAt('settle', afterMinutes(at, -1))).toBe(false)
    expect(readBlockedJobs(folder.path, afterMinutes(at, -1))).toEqual([])
    expect(restWarnings(known, at)[0]).toContain(`settle until ${afterMinutes(at, 20).toISOString()}, summarize until`)
    expect(restWarnings(known, afterMinutes(at, 20))).toEqual([])
  })

  /** A job's error, logged by a service whose clock stands at a time. @returns what was logged */
  const failAt = (at: Date, job: string, error: unknown): string => {
    const lines: string[] = []
    const log = pino({ base: null }, { write: (line) => lines.push(line) })
    onJobError(
      createJobRests(folder.path, () => at),
      log,
    )(job, error)
    return lines.join('')
  }

  test('a job whose statement was ended rests, for longer each time, 25 minutes at most', () => {
    writeFileSync(blockedJobsFile(folder.path), '')
    let at = new Date('2026-11-29T00:00:00Z')
    for (const minutes of [5, 10, 20, 25, 25]) {
      const failed = new AggregateError([new Error('the registry was left out', { cause: new StatementEnded() })])
      expect(failAt(at, 'fold pulls', failed)).toContain('the job rests')
      expect(isRestingAt('fold pulls', afterMinutes(at, minutes - 1))).toBe(true)
      expect(isRestingAt('fold pulls', (at = afterMinutes(at, minutes)))).toBe(false)
    }
    expect(failAt(at, 'settle', new Error('anything else'))).toContain('it will run again')
    expect(failAt(at, 'rotate salts', new StatementEnded())).toContain('it will run again')
    expect(readBlockedJobs(folder.path, at).map(({ job }) => job)).toEqual(['fold pulls'])
    // A day after its rest it begins anew.
    failAt(afterMinutes(at, 24 * 60), 'fold pulls', new StatementEnded())
    expect(readBlockedJobs(folder.path, afterMinutes(at, 24 * 60))).toMatchObject([{ minutes: 5 }])
  })

  test('a job rests also if that cannot be noted', () => {
    const rests = createJobRests(join(folder.path, 'missing'), machineClock)
    onJobError(rests, pino({ level: 'silent' }))('settle', new StatementEnded())
    expect(rests.isResting('settle')).toBe(true)
  })

  test('keeps the rest of a job when another one blocks, also when none was under way', async () => {
    noteBefore(['fold provisional pulls', 5, 20])
    const { known, at } = await blockedBy('settle')
    expect(restsOf(known)).toEqual({ 'fold provisional pulls': 20, settle: 20 })
    expect(isRestingAt('fold provisional pulls', at)).toBe(true)
    expect(restsOf((await blockedBy()).known)).toEqual({ 'fold provisional pulls': 20, settle: 20 })
  })

  test('makes a job that blocks again rest for twice as long, a day at most', async () => {
    const day = 24 * 60
    noteBefore(
      ['settle', 25, 20],
      ['fold pulls', 24 * 60 + 5, day],
      ['summarize', day + 25, 20],
      ['forget', 1_000, 800],
    )
    const { known } = await blockedBy('settle', 'fold pulls', 'summarize', 'forget')
    expect(restsOf(known)).toEqual({ settle: 40, 'fold pulls': day, summarize: 20, forget: day })
  })

  test.each([
    '',
    '{',
    '{}',
    'null',
    '[[]]',
    '{"at":"2026-11-28T00:00:00Z","jobs":"settle"}',
    '[{"job":"settle","at":"x","minutes":20}]',
    '[{"job":"settle","at":"2026-11-28T00:00:00Z","minutes":"20"}]',
    '[{"job":"settle","at":"2026-11-28T00:00:00Z","minutes":1e9}]',
    '[{"job":7,"at":"2026-11-28T00:00:00Z","minutes":20}]',
  ])('leaves no job at rest by a note that cannot be read: %s', (text) => {
    writeFileSync(blockedJobsFile(folder.path), text)
    expect(readBlockedJobs(folder.path, new Date('2026-11-28T00:01:00Z'))).toEqual([])
  })

  test('ends a process that was to end by now, whatever it does', async () => {
    const stopping = `watchdog.endWithin(1_000); setInterval(() => undefined, 10)`
    expect(await ended(stopping)).toMatchObject({ signal: 'SIGKILL', stderr: 'took too long\n' })
  })

  test('keeps no process alive', async () => {
    expect(await ended('console.log("done")')).toMatchObject({ stdout: 'done\n', stderr: '' })
  })
})

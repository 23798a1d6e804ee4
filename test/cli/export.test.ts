import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { openPglite } from '../../src/storage/embedded/pglite.js'
import { machineClock } from '../servers/clock.js'
import { readBack } from '../servers/exports.js'
import { inherited, temporaryFolder } from '../servers/process.js'
import { ROOT } from '../servers/service.js'
import { keepInFiles, keepInvocations, keepLive, REQUESTS } from '../servers/stored-requests.js'
import { embeddedFolder } from '../servers/stores.js'
import { tallyman, tallymanOnTerminal, type Result } from '../servers/tallyman.js'

const folder = embeddedFolder()
const exportsFolder = temporaryFolder('exports')
const to = exportsFolder.path
beforeAll(async () => {
  const database = await openPglite(folder.path)
  await keepInFiles({ database }, [REQUESTS])
  await keepLive({ database }, [{ n: 1, table: 'requests' }])
  await keepInvocations({ database })
  await database.close()
})
afterAll(() => {
  folder.remove()
  exportsFolder.remove()
})

const DAYS = ['--since', '2026-11-18', '--until', '2026-11-19']
const environment = { TALLYMAN_DATA_DIR: folder.path }
const run = async (...args: string[]): Promise<Result> => tallyman(environment, 'export', ...args)

describe('tallyman export', () => {
  test('writes NDJSON to standard output, with the day of each row', async () => {
    const { code, out } = await run('requests', '--format', 'ndjson', ...DAYS)
    expect(code).toBe(0)
    const rows = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(rows).toHaveLength(41)
    expect(rows[0]).toMatchObject({ day: '2026-11-18', requested_at: '2026-11-18T00:00:00.000005Z', tag: 'latest' })
  })

  test('writes CSV to standard output', async () => {
    const { code, out, err } = await run('invocations', '--format', 'csv', ...DAYS)
    expect([code, err]).toEqual([0, ''])
    expect(out.split('\r\n')).toHaveLength(1 + 35 + 1)
    expect(out).toMatch(/^day,requested_at,registry,repository,origin,id,/)
  })

  test('writes CSV to a terminal without characters that command it', async () => {
    const { out } = await tallymanOnTerminal(200, environment, 'export', 'pull-days', '--format', 'csv', ...DAYS)
    expect(out).toMatch(/^day,registry,repository,invocations,/)
    expect(out).not.toContain('\r')
  })

  test('writes files, and prints how to load them', async () => {
    const { code, out } = await run('requests', '--format', 'parquet', ...DAYS, '--to', join(to, 'a'))
    expect(code).toBe(0)
    expect(out).toMatch(/^2 files with 41 rows \(.*\) are in .*\/a\/requests\n/)
    expect(out).toMatch(/BigQuery:\n[^]*bq load [^]*ClickHouse:\n[^]*INSERT INTO [^]*DuckDB:\n[^]*read_parquet\(/)
    const rows = await readBack(join(to, 'a', 'requests', 'day=2026-11-18', 'part-0.parquet'))
    expect(rows).toHaveLength(27)
  })

  test('prints files, rows and bytes as JSON', async () => {
    const args = [
      'pull-days',
      '--format',
      'ndjson',
      '--group-by',
      'client, kind',
      ...DAYS,
      '--to',
      join(to, 'b'),
      '--json',
    ]
    const { code, out } = await run(...args)
    expect(code).toBe(0)
    const path = join(to, 'b', 'pull-days', 'day=2026-11-18', 'part-0.ndjson')
    const text = readFileSync(path, 'utf8')
    expect(JSON.parse(text.split('\n')[0] ?? '')).toMatchObject({ repository: 'team/0', client: 'docker', kind: 'cli' })
    const answer = JSON.parse(out) as { files: unknown[] }
    expect(answer).toMatchObject({ table: 'pull-days', format: 'ndjson', rows: 6, kept: [] })
    expect(answer.files[0]).toEqual({ day: '2026-11-18', path, rows: 3, bytes: Buffer.byteLength(text) })
  })

  test('notes that a day is not over', async () => {
    const today = machineClock().toISOString().slice(0, 10)
    const { code, err } = await run('pull-days', '--format', 'csv', '--since', '2026-11-18', '--until', today)
    expect(code).toBe(0)
    expect(err).toContain('is not over: export this day again when it is')
  })

  test('only exports the named registry', async () => {
    const { code, err } = await run('requests', '--format', 'csv', ...DAYS, '--registry', 'unknown.example')
    expect(code).toBe(1)
    expect(err).toContain('registry: unknown.example is unknown')
  })

  test.each([
    [['requests', '--format', 'parquet', ...DAYS], '--format parquet needs a directory for its files: add --to DIR'],
    [['requests', '--format', 'csv', '--json', ...DAYS], '--json is about files: add --to DIR'],
    [['requests', '--format', 'csv', '--replace', ...DAYS], '--replace is about files: add --to DIR'],
    [['requests', '--format', 'csv', '--group-by', 'tag', ...DAYS], '--group-by is for pull-days'],
    [
      ['pull-days', '--format', 'csv', '--group-by', 'hour', ...DAYS],
      '--group-by: "hour" is not known, expected tag, ',
    ],
    [['requests', '--format', 'csv', '--since', '2026-02-30'], '--since: "2026-02-30" is not a day'],
    [['requests', '--format', 'csv', '--since', '2026-11-18', '--until', 'x'], '--until: "x" is not a day'],
    [
      ['requests', '--format', 'csv', '--since', '2026-11-18', '--until', '2026-11-17'],
      '--until: expected a day that is not before',
    ],
    [['requests', '--format', 'csv', '--since', '2999-01-01'], '--since: 2999-01-01 is after today'],
    [['requests', '--format', 'xml', ...DAYS], 'Allowed choices are parquet, ndjson, csv'],
    [['tags', '--format', 'csv', ...DAYS], 'Allowed choices are requests, invocations, pull-days'],
    [['requests', ...DAYS], "required option '--format <format>' not specified"],
  ])('refuses %j', async (args, expected) => {
    const { code, out, err } = await run(...args)
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain(expected)
  })

  test('creates nothing if there is no installation', async () => {
    const nowhere = join(to, 'nowhere')
    const { code, err } = await tallyman(
      { TALLYMAN_DATA_DIR: nowhere },
      'export',
      'requests',
      '--format',
      'csv',
      ...DAYS,
    )
    expect([code, existsSync(nowhere)]).toEqual([1, false])
    expect(err).toContain('there is no installation in')
  })

  test('ends without a message when its reader disconnects', async () => {
    const args = ['export', 'requests', '--format', 'ndjson', ...DAYS]
    const child = spawn(process.execPath, [join(ROOT, 'dist', 'main.js'), ...args], {
      ...{ cwd: ROOT, env: { ...inherited(), ...environment } },
    })
    child.stdout.destroy()
    const [err] = await Promise.all([text(child.stderr), once(child, 'exit')])
    expect([child.exitCode, err]).toEqual([141, ''])
  })

  test('has examples in its help', async () => {
    const { out } = await run('--help')
    expect(out).toContain('$ tallyman export requests --format parquet --since')
    expect(out).toContain('estimates')
  })
})

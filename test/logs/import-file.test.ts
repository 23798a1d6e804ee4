import { execFileSync } from 'node:child_process'
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import { findLogs } from '../../src/logs/find-logs.js'
import type { Imported } from '../../src/logs/import-file.js'
import { temporaryFolder } from '../servers/process.js'
import { runsOn } from '../servers/runs.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'
import { importInto } from '../support/importing.js'

const REGISTRY = 'registry.example'
const NOW = new Date('2026-11-21T12:00:00Z')

/** A line of a combined log. */
const line = (i: number, agent = 'docker/24.0'): string => {
  const time = new Date(Date.parse('2026-11-11T00:00:00Z') + i * 1_000).toISOString().slice(11, 19)
  return `203.0.113.7 - - [11/Nov/2026:${time} +0000] "GET /v2/team/app/manifests/v${i} HTTP/1.1" 200 400 "" "${agent}"`
}
const lines = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => `${line(from + i)}\n`).join('')
const zstd = (text: string): Buffer => execFileSync('zstd', ['-q', '-c'], { input: text, maxBuffer: 2 ** 28 })

describe.each(STORE_PAIRS)('%s', (_name, open) => {
  let stores: TestStores
  let folder: ReturnType<typeof temporaryFolder>
  beforeAll(async () => {
    stores = await open()
    folder = temporaryFolder('import-file')
  })
  afterAll(async () => {
    folder.remove()
    await stores.close()
  })
  beforeEach(async () => {
    await stores.clear()
  })

  /** How many of the next transactions fail, as if another process had changed the same rows. */
  let conflicts = 0
  const importPath = async (path: string, input: string | Buffer = '', mostWeight?: number): Promise<Imported> => {
    for await (const found of findLogs([path], { input: Readable.from([Buffer.from(input)]) })) {
      if (found.kind !== 'log') throw new Error(`${found.path} ${found.reason}`)
      return await importInto(stores.database, found.source, {
        ...{ registry: REGISTRY, now: NOW, given: { format: 'combined' } },
        onStored: async (tx) => {
          if (conflicts-- > 0)
            await sql`do $$ begin raise exception 'a conflict' using errcode = '40001'; end $$`.execute(tx)
        },
        ...(mostWeight !== undefined && { mostWeight }),
      })
    }
    throw new Error('nothing found')
  }
  const importText = async (name: string, content: string | Buffer): Promise<Imported> => {
    const path = join(folder.path, name)
    writeFileSync(path, content)
    return importPath(path)
  }
  const stored = async (): Promise<number> => {
    const { rows } = await sql<{ requests: number }>`
      select coalesce(sum(requests), 0)::int as requests from pulls.segments
    `.execute(stores.database.sql)
    return rows[0]?.requests ?? 0
  }

  test('a last line without a line end waits in a file, and is read in a compressed one and in standard input', async () => {
    expect(await importText('a.log', lines(0, 3) + line(3))).toMatchObject({ lines: 3 })
    appendFileSync(join(folder.path, 'a.log'), `\n${line(4)}`)
    expect(await importPath(join(folder.path, 'a.log'))).toMatchObject({ before: 3, lines: 1 })
    expect(await importText('b.gz', gzipSync(lines(10, 13) + line(13)))).toMatchObject({ lines: 4 })
    expect(await importPath('-', lines(20, 23) + line(23))).toMatchObject({ lines: 4 })
    expect(await importText('c.zst', zstd(line(30)))).toMatchObject({ lines: 1 })
    expect(await stored()).toBe(4 + 4 + 4 + 1)
  })

  test('a log counts once under another name, compressed, and with or without its last line end', async () => {
    await importText('a.log', lines(0, 5) + line(5))
    expect(await importText('a.log.1', lines(0, 6))).toMatchObject({ before: 5, lines: 1 })
    for (const content of [gzipSync(lines(0, 6)), zstd(lines(0, 5) + line(5)), lines(0, 6)])
      expect(await importText('a.log.2', content)).toMatchObject({ lines: 0, counts: {} })
    expect(await importPath('-', lines(0, 5) + line(5))).toMatchObject({ lines: 0 })
    expect(await importText('a.log.3', lines(0, 9))).toMatchObject({ before: 6, lines: 3 })
    expect(await stored()).toBe(9)
  })

  test('a log whose last line was cut goes on with the whole line', async () => {
    const cut = lines(0, 5) + line(5).slice(0, 30)
    expect(await importText('a.gz', gzipSync(cut))).toMatchObject({ lines: 6, counts: { unreadable: 1 } })
    expect(await importText('a.gz', gzipSync(cut))).toMatchObject({ lines: 0 })
    expect(await importText('a.log', lines(0, 9))).toMatchObject({ before: 5, lines: 4 })
    expect(await importPath('-', lines(0, 10) + line(10))).toMatchObject({ before: 9, lines: 2 })
    expect(await stored()).toBe(11)
  })

  test('logs that begin alike are different logs, also if the first one had only the beginning', async () => {
    const header = lines(0, 1)
    await importText('a.log', header)
    await importText('b.log', header + lines(100, 200))
    await importText('c.log', header + lines(200, 250))
    await importText('d.log', header + lines(300, 302))
    await importText('e.log', header + lines(400, 600))
    expect(await stored()).toBe(1 + 100 + 51 + 3 + 201)
  })

  test('any beginnings of logs that begin alike, in any order, plain or compressed: each line counts once', async () => {
    const log = fc.constantFrom(0, 1, 2)
    const size = fc.oneof(fc.integer({ min: 4, max: 12 }), fc.integer({ min: 200, max: 300 }))
    const packers = [
      (text: string) => text,
      (text: string) => gzipSync(text),
      (text: string) => gzipSync(text.slice(0, -1)),
    ]
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(log, size, fc.constantFrom(...packers)), { maxLength: 8 }), async (parts) => {
        await stores.clear()
        const most = [0, 0, 0]
        for (const [number, length, pack] of parts) {
          // One whose beginning was imported before may only be longer: a shorter one has no head of its own to be known by.
          const grown = Math.max(length, most[number] ?? 0)
          most[number] = grown
          await importText('part.log', pack(lines(0, 2) + lines(1_000 * (number + 1), 1_000 * (number + 1) + grown)))
        }
        expect(await stored()).toBe(most.reduce((sum, length) => sum + (length > 0 ? length + 2 : 0), 0))
      }),
      runsOn(stores.database, { postgresql: 25, pglite: 5 }),
    )
  })

  test.each([
    ['gzip', gzipSync],
    ['zstd', (data: Buffer) => zstd(data.toString())],
  ] as const)('of a cut %s file, the rest is imported when it is whole', async (_of, pack) => {
    const whole = pack(
      Buffer.from(Array.from({ length: 8_000 }, (_, i) => `${line(i, `a${(i * 7919) % 8_009}`)}\n`).join('')),
    )
    const cut = await importText('a.log.gz', whole.subarray(0, Math.floor(whole.length * 0.9)))
    expect(cut.problem?.message).toContain('a.log.gz ends in the middle of its compressed data')
    expect(cut.lines).toBeGreaterThan(1_000)
    expect(await stored()).toBe(cut.lines)
    const again = await importText('a.log.gz', whole.subarray(0, Math.floor(whole.length * 0.9)))
    expect(again).toMatchObject({ lines: 0, problem: { reason: cut.problem?.reason } })
    expect(await importText('a.log.gz', whole)).toMatchObject({ before: cut.lines, lines: 8_000 - cut.lines })
    expect(await importText('a.log.gz', whole.subarray(0, 20_000))).toMatchObject({ lines: 0 })
    expect(await stored()).toBe(8_000)
  })

  test('of a damaged file, no line is imported that may be wrong', async () => {
    const damage = (packed: Buffer): Buffer => {
      const damaged = Buffer.from(packed)
      damaged[damaged.length - 6] = (damaged.at(-6) ?? 0) ^ 1
      return damaged
    }
    const reason = 'a.log.gz is damaged: incorrect data check. Get a whole copy, and import it again'
    const packed = gzipSync(lines(0, 20_000))
    const { problem, ...imported } = await importText('a.log.gz', damage(packed))
    expect(problem?.message).toContain(reason)
    expect([imported, await stored()]).toEqual([{ format: 'combined', before: 0, lines: 0, counts: {} }, 0])
    expect(await importText('a.log.gz', packed)).toMatchObject({ lines: 20_000 })
    await expect(importText('a.log.gz', damage(gzipSync(lines(0, 3))))).rejects.toThrow(reason)
  })

  test('a transaction that is retried after a conflict stores the same requests', async () => {
    conflicts = 2
    expect(await importText('a.log', lines(0, 100))).toMatchObject({ lines: 100, counts: { manifest: 100 } })
    expect(conflicts).toBe(-1)
    expect(await stored()).toBe(100)
    expect(await importText('a.log', lines(0, 110))).toMatchObject({ before: 100, lines: 10 })
  })

  test('hostile lines are counted, and lose no other line', async () => {
    const hostile = [
      'x'.repeat(10 * 1024 * 1024),
      line(1, '\0\0'),
      '\0'.repeat(1_000),
      Buffer.from(Array.from({ length: 255 }, (_, i) => i + 1).filter((byte) => byte !== 10)),
      '"""[][][',
      line(2, '\uD800'),
      `${line(3)}\r`,
      '',
    ]
    const content = Buffer.concat(
      [`\uFEFF${line(0)}`, ...hostile, line(4)].flatMap((one) => [Buffer.from(one), Buffer.from('\n')]),
    )
    const plain = await importText('a.log', content)
    expect(plain).toMatchObject({ lines: 10, counts: { too_long: 1 } })
    expect(plain.counts.manifest).toBeGreaterThanOrEqual(4)
    expect(await importText('a.log.gz', gzipSync(content))).toMatchObject({ lines: 0 })
  })

  test('a log without a complete line is refused with its own reason', async () => {
    await expect(importText('a.log', line(0))).rejects.toThrow(/a\.log: contains no complete line$/)
    await expect(importText('a.gz', gzipSync(''))).rejects.toThrow(/a\.gz: contains no complete line$/)
    await expect(importPath('-')).rejects.toThrow('standard input: contains no complete line')
  })
})

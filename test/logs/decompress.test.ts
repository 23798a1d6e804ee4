import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { DamagedLog } from '../../src/logs/damaged-log.js'
import { openLog } from '../../src/logs/open-log.js'
import { FileError } from '../../src/runtime/file-error.js'
import { temporaryFolder } from '../servers/process.js'
import { runs } from '../servers/runs.js'

const LINES = Buffer.from(
  Array.from(
    { length: 40_000 },
    (_, i) => `10.0.${i % 256}.1 "GET /v2/team/app-${(i * 7919) % 40_009}/manifests/latest"\n`,
  ).join(''),
)
const zstd = (data: Buffer, ...options: string[]): Buffer =>
  execFileSync('zstd', ['-q', '-c', ...options], { input: data, maxBuffer: 2 ** 30 })
/** RFC 8878, section 3.1.2. */
const skippable = (length: number, kind = 0): Buffer => {
  const header = Buffer.of(0x50 + kind, 0x2a, 0x4d, 0x18, 0, 0, 0, 0)
  header.writeUInt32LE(length, 4)
  return Buffer.concat([header, Buffer.alloc(length, 'x')])
}
const PACKERS: [string, (data: Buffer) => Buffer][] = [
  ['gzip', gzipSync],
  ['zstd', (data) => zstd(data)],
]

let folder: ReturnType<typeof temporaryFolder>
beforeAll(() => {
  folder = temporaryFolder('decompress')
})
afterAll(() => {
  folder.remove()
})

const fileOf = (content: Buffer): string => {
  const path = join(folder.path, 'access.log')
  writeFileSync(path, content)
  return path
}

/** What is read of a file before its end or its error. */
const readAll = async (path: string): Promise<{ bytes: Buffer; error?: unknown }> => {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of await openLog(path)) chunks.push(chunk as Buffer)
    return { bytes: Buffer.concat(chunks) }
  } catch (error) {
    return { bytes: Buffer.concat(chunks), error }
  }
}
/** A comparison of Jest would take seconds. */
const expectBytes = async (content: Buffer, expected: Buffer): Promise<void> => {
  const { bytes, error } = await readAll(fileOf(content))
  expect(error).toBeUndefined()
  expect(bytes.length).toBe(expected.length)
  expect(bytes.equals(expected)).toBe(true)
}
const messageOf = (error: unknown): string => (error instanceof FileError ? error.message : String(error))

test('a file that is not compressed is read as it is, also an empty one and one shorter than a magic number', async () => {
  for (const content of [LINES, Buffer.alloc(0), Buffer.of(0x1f), Buffer.of(0x28, 0xb5, 0x2f), Buffer.from('\n')])
    await expectBytes(content, content)
})

describe.each(PACKERS)('%s', (name, pack) => {
  test('is recognized by its first bytes, and can be opened twice', async () => {
    await expectBytes(pack(LINES), LINES)
    await expectBytes(pack(LINES), LINES)
  })

  test('several parts in one file are read one after the other, also empty ones', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 200_000 }), { minLength: 1, maxLength: 5 }),
        async (lengths) => {
          const parts = lengths.map((length) => LINES.subarray(0, length))
          await expectBytes(Buffer.concat(parts.map(pack)), Buffer.concat(parts))
        },
      ),
      runs(15),
    )
  })

  test('of a cut file, what it contains is read before the error', async () => {
    const packed = pack(LINES)
    for (const length of [packed.length - 1, packed.length - 5, Math.floor(packed.length / 2)]) {
      const { bytes, error } = await readAll(fileOf(packed.subarray(0, length)))
      expect(messageOf(error)).toBe(
        `${folder.path}/access.log ends in the middle of its compressed data: it was cut, or is still being written. Import it again when it is whole`,
      )
      expect(error).not.toBeInstanceOf(DamagedLog)
      expect(bytes.equals(LINES.subarray(0, bytes.length))).toBe(true)
      if (length === packed.length - 1) expect(bytes.length).toBe(LINES.length)
      else expect(bytes.length).toBeGreaterThan(100_000)
    }
  })

  test('a byte that changed anywhere is an error, or changes nothing that is read', async () => {
    const packed = pack(LINES.subarray(0, 300_000))
    let damaged = 0
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: packed.length - 1 }), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const changed = Buffer.from(packed)
        changed[at] = (changed[at] ?? 0) ^ change
        const { bytes, error } = await readAll(fileOf(changed))
        if (error === undefined)
          expect([LINES.subarray(0, 300_000), changed].some((one) => one.equals(bytes))).toBe(true)
        else expect(error).toBeInstanceOf(FileError)
        if (error instanceof DamagedLog) damaged++
      }),
      runs(60),
    )
    expect(damaged).toBeGreaterThan(0)
  })

  test('a file that expands beyond all measure is stopped, and its beginning is read before', async () => {
    const zeros = pack(Buffer.alloc(256 * 1024 * 1024, name === 'gzip' ? 0 : 'x'))
    // gzip reaches about 1:1,030, and its first bytes are read at once.
    const { bytes, error } = await readAll(fileOf(zeros))
    expect(messageOf(error)).toMatch(
      /access\.log expands to more than 1000 times its size, as no usual log does\. If it/,
    )
    expect(bytes.length).toBeGreaterThan(60_000_000)
  })

  test('a reader that stops early leaves nothing open', async () => {
    const path = fileOf(pack(LINES))
    for (let i = 0; i < 50; i++) {
      for await (const chunk of await openLog(path)) {
        expect((chunk as Buffer).length).toBeGreaterThan(0)
        break
      }
    }
    await expectBytes(pack(LINES), LINES)
  })
})

test('zeros after gzip are padding; other data is damage', async () => {
  const packed = gzipSync(LINES)
  await expectBytes(Buffer.concat([packed, Buffer.alloc(1_500_000)]), LINES)
  for (const tail of [Buffer.from('garbage'), Buffer.concat([Buffer.alloc(1_500_000), packed]), Buffer.of(0, 1)]) {
    const { bytes, error } = await readAll(fileOf(Buffer.concat([packed, tail])))
    expect(bytes.equals(LINES.subarray(0, bytes.length))).toBe(true)
    expect(error).toBeInstanceOf(DamagedLog)
  }
})

test('skippable frames of zstd are left out, also thousands, and at the beginning', async () => {
  const many = Buffer.concat(Array.from({ length: 20_000 }, (_, i) => skippable(0, i % 16)))
  const packed = Buffer.concat([skippable(4, 0), zstd(LINES), many, skippable(100_000, 15), zstd(LINES, '-19')])
  await expectBytes(packed, Buffer.concat([LINES, LINES]))
})

test('a window of zstd of 128 MiB is read', async () => {
  await expectBytes(zstd(LINES, '--long=27', '--no-check'), LINES)
})

test('a compression that Tallyman does not read is named', async () => {
  const { error } = await readAll(fileOf(Buffer.from('BZh91AY&SY')))
  expect(messageOf(error)).toContain('access.log is compressed with bzip2, which Tallyman does not read: decompress it')
})

test('a file that becomes shorter while it is read is an error after what was read', async () => {
  const path = fileOf(Buffer.concat([LINES, LINES]))
  let read = 0
  await expect(
    (async () => {
      for await (const chunk of await openLog(path)) {
        read += (chunk as Buffer).length
        const file = await open(path, 'r+')
        await file.truncate(10)
        await file.close()
      }
    })(),
  ).rejects.toThrow(/became shorter while it was read, as a log does that is rotated in place: import it again/)
  expect(read).toBeGreaterThan(1_000_000)
})

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parseTimestamp } from '../../src/events/calendar.js'
import { createLineReader, type LineReader } from '../../src/logs/line-reader.js'
import { cloudStorage } from '../../src/sources/access-logs/cloud-storage.js'
import { combined } from '../../src/sources/access-logs/combined.js'
import type { LogFormat } from '../../src/sources/access-logs/log-format.js'
import { runs } from '../servers/runs.js'
import { linesOf } from '../sources/access-logs/reading.js'

const NOT_AFTER = parseTimestamp('2026-11-30T00:00:00Z') ?? 0

/** What a reader makes of lines: the name of each, and the request if it is one. */
const read = (format: LogFormat, lines: readonly string[]): { results: unknown[]; scanned: number } => {
  const results: unknown[] = []
  let scanned = 0
  let request: unknown
  const scan = format.createScan?.()
  const counted: LogFormat = {
    ...format,
    ...(scan && {
      createScan: () => (bytes, start, end, parts) => {
        const isScanned = scan(bytes, start, end, parts)
        if (isScanned) scanned++
        return isScanned
      },
    }),
  }
  const reader: LineReader = createLineReader({
    format: counted,
    wrapper: undefined,
    options: { notAfter: NOT_AFTER },
    seed: 7,
    what: ({ at, bytes, address, userAgent, user, ...what }) => ({
      ...what,
      knows: [at, bytes].length > 0 && [address, userAgent, user].length > 0,
    }),
    who: ({ address, userAgent, user }) => ({ address, userAgent, user }),
    onRequest: (what, who, at, bytes) => {
      request = { what, who, at, bytes }
    },
  })
  for (const line of lines) {
    // The line is in the middle of a larger chunk, as in a file.
    const bytes = Buffer.from(`"before" ${line}\n"after" - `)
    const start = '"before" '.length
    request = undefined
    const name = reader.read(bytes, start, start + Buffer.byteLength(line))
    results.push({ name, request })
  }
  return { results, scanned }
}

const withoutScan = ({ createScan, ...format }: LogFormat): LogFormat => {
  expect(createScan).toBeDefined()
  return format
}

const PIECES = [
  '"',
  '\\',
  '\\"',
  ' ',
  '-',
  '""',
  '","',
  '[',
  ']',
  '\t',
  '\u00fc',
  '\u0000',
  '?',
  '#',
  '%2F',
  '0',
  '99',
  '99999999999999999',
  '\r',
]

/** A line with a few places changed: a character left out, or something put in. */
const changed = (lines: readonly string[]): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.constantFrom(...lines),
      fc.array(fc.tuple(fc.nat(), fc.boolean(), fc.constantFrom(...PIECES)), { maxLength: 3 }),
    )
    .map(([line, changes]) =>
      changes.reduce((text, [place, isInserted, piece]) => {
        const at = place % (text.length + 1)
        return text.slice(0, at) + (isInserted ? piece : '') + text.slice(isInserted ? at : at + 1)
      }, line),
    )
    .filter((line) => !line.includes('\n'))

const FORMATS: readonly LogFormat[] = [combined, cloudStorage]

describe.each(FORMATS.map((format) => [format.name, format] as const))('%s', (_name, format) => {
  const fixtures = linesOf(format)
  /** The first lines, with the header, stay as they are. */
  const first = fixtures.slice(0, 2)

  test('the lines of real servers are read the same from bytes as from text, also if they were read before', () => {
    const lines = [...fixtures, ...fixtures, ...[...fixtures.slice(1)].reverse()]
    const { results, scanned } = read(format, lines)
    expect(results).toEqual(read(withoutScan(format), lines).results)
    expect(scanned).toBeGreaterThan(fixtures.length)
  })

  test('changed lines are read the same from bytes as from text', () => {
    let all = 0
    let few = 0
    fc.assert(
      fc.property(fc.array(changed(fixtures), { minLength: 1, maxLength: 12 }), (some) => {
        const lines = [...first, ...some, ...some]
        let expected: unknown
        try {
          expected = read(withoutScan(format), lines).results
        } catch (error) {
          // Another header.
          expect(() => read(format, lines)).toThrow((error as Error).message)
          return
        }
        const { results, scanned } = read(format, lines)
        expect(results).toEqual(expected)
        all += lines.length
        few += scanned
      }),
      runs(500),
    )
    expect(few / all).toBeGreaterThan(0.2)
  })
})

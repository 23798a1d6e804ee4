import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { UnknownColumns } from '../../../src/sources/access-logs/cloud-storage.js'
import type { LogLine, ReadLine } from '../../../src/sources/access-logs/log-format.js'
import { runs } from '../../servers/runs.js'
import { DETAILS, fixtureLines, OPTIONS, TEXT_FORMATS } from './reading.js'

const KINDS = ['request', 'object', 'other', 'unreadable']
const NAMES = TEXT_FORMATS.map(({ name }) => name)
const LINES = NAMES.flatMap(fixtureLines)
/** What formats give a meaning to, and what breaks readers. */
const PIECES = [
  '"',
  '\\',
  '\\"',
  '[',
  ']',
  ' ',
  '{',
  '}',
  '|',
  ';',
  '\t',
  '-',
  '%',
  '\\x',
  '\\xff',
  '#',
  '\0',
  '\ud800',
  '9'.repeat(400),
  '99999',
  '0000',
]
const piece = fc.oneof(fc.constantFrom(...PIECES), fc.string({ unit: 'binary' }))
const position = fc.double({ min: 0, max: 1, noNaN: true })

/** A line of a fixture with some of its parts replaced. */
const mutated = fc
  .tuple(fc.constantFrom(...LINES), fc.array(fc.tuple(position, fc.nat(20), piece), { minLength: 1, maxLength: 4 }))
  .map(([line, changes]) =>
    changes.reduce((text, [where, length, by]) => {
      const start = Math.floor(where * text.length)
      return text.slice(0, start) + by + text.slice(start + length)
    }, line),
  )
const cut = fc
  .tuple(fc.constantFrom(...LINES), position)
  .map(([line, where]) => line.slice(0, Math.floor(where * line.length)))
const random = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes).toString('utf8')),
  fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join('')),
)

const HEADER = /^(?:#|"time_micros")/
/** Cloud Storage's format refuses a file by its header. */
const readOrRefuse = (readLine: ReadLine, line: string): LogLine => {
  try {
    return readLine(line)
  } catch (error) {
    expect(error).toBeInstanceOf(UnknownColumns)
    expect(line).toMatch(HEADER)
    return { kind: 'other' }
  }
}

describe.each(TEXT_FORMATS)('$name', (format) => {
  const header = fixtureLines(format.name).filter((line) => HEADER.test(line))

  test('gives one of four kinds for every line, and no value of an unreadable line', () => {
    const readLine = format.createReader(OPTIONS)
    header.forEach(readLine)
    fc.assert(
      fc.property(fc.oneof(mutated, cut, random), (line) => {
        format.recognizes(line)
        const read = readOrRefuse(readLine, line)
        expect(KINDS).toContain(read.kind)
        if (read.kind === 'unreadable') expect(DETAILS).toContain(read.detail)
        if (read.kind === 'request' || read.kind === 'object') {
          expect(read.method).toMatch(/^[A-Z]+$/)
          expect(read.at).toBeGreaterThanOrEqual(0)
          for (const number of [read.at, read.status, read.bytes ?? 0]) expect(Number.isSafeInteger(number)).toBe(true)
          for (const text of [read.userAgent, read.user, read.requestId, read.address]) expect(text).not.toBe('')
        }
        header.forEach(readLine)
      }),
      runs(1_500),
    )
  })

  test.each(['"', '\\"', '[', '] ', '" ', '{', ';', ';"', '\t', '\\x', '%', '#22', ':1', '0', ' ', '-', '&', '\\\\'])(
    'reads a line of 64 KiB of %j',
    (text) => {
      const readLine = format.createReader(OPTIONS)
      header.forEach(readLine)
      const long = text.repeat(65_536 / text.length)
      for (const line of [long, ...fixtureLines(format.name).map((real) => real + long)]) {
        format.recognizes(line)
        expect(KINDS).toContain(readOrRefuse(readLine, line).kind)
      }
    },
  )
})

/** Lines that contain no request, and that look the same in other formats. */
const MESSAGES: Record<string, RegExp> = { haproxy: /Proxy http-in started|tcp-in|SSL handshake failure/ }

describe('the format of a line', () => {
  test.each(NAMES)('%s is recognized by its own format alone', (name) => {
    for (const line of fixtureLines(name)) {
      const recognized = TEXT_FORMATS.filter((format) => format.recognizes(line)).map((format) => format.name)
      expect(recognized).toEqual(MESSAGES[name]?.test(line) === true ? [] : [name])
    }
  })

  test.each([
    '',
    '{"time":"2026-11-21T11:39:41Z","method":"GET","status":200}',
    '2026-11-21T11:39:41.967776743Z stdout F 10.0.0.1 - - [21/Nov/2026:11:39:41 +0000] "GET /v2/ HTTP/1.1" 200 2 "-" "curl/8"',
    'Nov 21 11:39:41 host nginx: 10.0.0.1 - - [21/Nov/2026:11:39:41 +0000] "GET /v2/ HTTP/1.1" 200 2 "-" "curl/8"',
    '#Fields: date time s-ip cs-method cs-uri-stem',
    '"time_micros","c_ip","c_ip_type","c_ip_region","cs_method","cs_uri","sc_status"',
    'hello world',
  ])('is unknown for %j', (line) => {
    expect(TEXT_FORMATS.filter((format) => format.recognizes(line)).map(({ name }) => name)).toEqual([])
  })
})

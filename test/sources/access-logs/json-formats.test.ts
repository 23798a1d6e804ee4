import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { nginxJson } from '../../../src/sources/access-logs/nginx-json.js'
import { runs } from '../../servers/runs.js'
import { DETAILS, JSON_FORMATS, linesOf, NOT_AFTER, readWith } from './reading.js'

/** The format that recognizes the most lines, the first one of several. */
const sniff = (lines: readonly string[]): string | undefined => {
  const counts = JSON_FORMATS.map(({ name, recognizes }) => ({ name, count: lines.filter(recognizes).length }))
  const most = Math.max(...counts.map(({ count }) => count))
  return most === 0 ? undefined : counts.find(({ count }) => count === most)?.name
}

describe.each(JSON_FORMATS.map((format) => ({ format, name: format.name })))('$name', ({ format }) => {
  const lines = linesOf(format)

  test('recognizes the lines that are requests in its format, and no others', () => {
    const kinds = readWith(format, lines).map(({ kind }) => kind === 'request' || kind === 'object')
    // An operation on an Azure account is of the format, but no request to a bucket.
    const recognized = lines.map((line) => format.recognizes(line) && !line.includes('ListContainers'))
    expect(recognized).toEqual(kinds)
  })

  test('recognizes no line of another format', () => {
    const others = JSON_FORMATS.filter((other) => other !== format).flatMap(linesOf)
    expect(others.filter(format.recognizes)).toEqual([])
  })

  test('is found by its lines', () => {
    expect(sniff(lines)).toBe(format.name)
  })
})

test('the format without fixed names comes last', () => {
  expect(JSON_FORMATS.at(-1)).toBe(nginxJson)
})

test.each([
  '',
  ' ',
  'not a log',
  '{}',
  '{"a":1}',
  '[]',
  'null',
  '"x"',
  '{"status":"ok","time":"2026-11-21T11:39:41Z"}',
])('no format recognizes %j', (line) => {
  expect(sniff([line])).toBeUndefined()
})

const LINES = JSON_FORMATS.flatMap(linesOf)
const KINDS = ['request', 'object', 'other', 'unreadable']
const HOSTILE = [
  '0000-01-01T00:00:00Z',
  '99999-01-01T00:00:00Z',
  '1e400',
  '-0',
  '\u0000',
  '\ud800',
  '__proto__',
  '"',
  '\\',
  '{',
  '}',
  '[',
  'null',
  '%',
  '%ff',
  ' ',
  '9'.repeat(30),
]

/** A real line of which some parts are replaced, removed or repeated. */
const mutated = fc
  .tuple(
    fc.constantFrom(...LINES),
    fc.array(
      fc.tuple(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat(12),
        fc.oneof(fc.constantFrom(...HOSTILE), fc.string()),
      ),
      {
        minLength: 1,
        maxLength: 5,
      },
    ),
  )
  .map(([line, changes]) =>
    changes.reduce((text, [position, length, replacement]) => {
      const from = Math.floor(position * text.length)
      return text.slice(0, from) + replacement + text.slice(from + length)
    }, line),
  )
/** A real object of which some values are any JSON value. */
const withOtherValues = fc
  .tuple(
    fc.constantFrom(...LINES.filter((line) => line.startsWith('{'))),
    fc.array(fc.tuple(fc.nat(30), fc.jsonValue())),
  )
  .map(([line, changes]) => {
    const fields = JSON.parse(line) as Record<string, unknown>
    const names = Object.keys(fields)
    for (const [i, value] of changes) fields[names[i % names.length] ?? ''] = value
    return JSON.stringify(fields)
  })
const cut = fc.tuple(fc.constantFrom(...LINES), fc.nat(800)).map(([line, length]) => line.slice(0, length))
const binary = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('utf8'))

test('any line is a request, a request to an object, another message or unreadable', () => {
  const fields = { time: '__proto__', user: 'constructor' }
  const readers = JSON_FORMATS.flatMap((format) => [
    format.createReader({ notAfter: NOT_AFTER }),
    format.createReader({ notAfter: NOT_AFTER, timeZone: 'Europe/Berlin', fields }),
  ])
  fc.assert(
    fc.property(fc.oneof(mutated, withOtherValues, cut, binary, fc.string({ unit: 'binary' })), (line) => {
      for (const read of readers) {
        const result = read(line)
        expect(KINDS).toContain(result.kind)
        if (result.kind === 'unreadable') expect(DETAILS).toContain(result.detail)
        if (result.kind === 'request' || result.kind === 'object') {
          expect(result.method).toMatch(/^[A-Z]+$/)
          expect(Number.isSafeInteger(result.at) && result.at >= 0).toBe(true)
        }
      }
      for (const { recognizes } of JSON_FORMATS) expect(typeof recognizes(line)).toBe('boolean')
    }),
    runs(500),
  )
})

test.each([
  ['nested lists', '{"a":' + '['.repeat(65_000)],
  ['nested objects', '{"a":'.repeat(13_000)],
  ['equal signs', 'time=' + '='.repeat(65_000)],
  ['quotes', 'time=' + ' a="\\"'.repeat(10_000)],
  ['spaces', ' '.repeat(65_536)],
  ['NUL', '\0'.repeat(65_536)],
  ['one long method', JSON.stringify({ time: 1, method: 'A'.repeat(65_000), status: 1, uri: '/' })],
  ['one long address', JSON.stringify({ msec: 1795261181, method: 'A', status: 1, uri: '/', ip: '1:'.repeat(30_000) })],
])('a long line of %s is read', (_, line) => {
  for (const format of JSON_FORMATS) expect(KINDS).toContain(readWith(format, [line])[0]?.kind)
})

test('side fields that cannot be stored are left out, and a long user agent is cut', () => {
  const base = { msec: 1795261181, method: 'GET', uri: '/', status: 200 }
  const lines = [
    { ...base, user: 'a\0b', ua: '\ud800', request_id: 'x'.repeat(2_000), bytes: -1, host: 7 },
    { ...base, ua: `${'a'.repeat(511)}😀`, bytes: 1.5 },
  ]
  const request = { kind: 'request', at: 1795261181000000, method: 'GET', status: 200, target: '/' }
  expect(
    readWith(
      nginxJson,
      lines.map((line) => JSON.stringify(line)),
    ),
  ).toStrictEqual([request, { ...request, userAgent: 'a'.repeat(511) }])
})

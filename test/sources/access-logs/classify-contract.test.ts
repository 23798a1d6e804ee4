import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isIP } from 'node:net'
import { isDigest, isRepositoryPath, isTag } from '../../../src/events/reference.js'
import { isHost } from '../../../src/events/registry-host.js'
import { isStorableText } from '../../../src/events/storable-text.js'
import { classify } from '../../../src/sources/access-logs/classify.js'
import { UnknownColumns } from '../../../src/sources/access-logs/cloud-storage.js'
import { LINE_CLASSES, type LineClass } from '../../../src/sources/access-logs/line-class.js'
import type {
  LogFormat,
  LogLine,
  LoggedObjectRequest,
  LoggedRequest,
} from '../../../src/sources/access-logs/log-format.js'
import { LOG_FORMATS } from '../../../src/sources/access-logs/log-formats.js'
import { runs } from '../../servers/runs.js'
import { linesOf, NOT_AFTER, OPTIONS } from './reading.js'

const DAY = 86_400_000_000
const READS: readonly LineClass[] = ['manifest', 'blob', 'tags', 'referrers']
const DOWNLOADS: readonly LineClass[] = ['download', 'partial', 'not_modified', 'head', 'failed']

/** The contract of `Sender.read` for the fields of a read. Returns the names of fields that break it. */
const broken = (line: Record<string, unknown>): string[] => {
  const checks: Record<string, (value: unknown) => boolean> = {
    class: (value) => [...READS, ...DOWNLOADS].includes(value as LineClass),
    at: (value) => Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= NOT_AFTER + DAY,
    method: (value) => value === 'GET' || value === 'HEAD',
    status: (value) => Number.isInteger(value) && Number(value) >= 100 && Number(value) <= 999,
    bytes: (value) => Number.isSafeInteger(value) && Number(value) >= 0 && line.method === 'GET',
    repository: (value) => typeof value === 'string' && isRepositoryPath(value),
    tag: (value) => typeof value === 'string' && isTag(value),
    digest: (value) => typeof value === 'string' && isDigest(value),
    host: (value) => typeof value === 'string' && isHost(value) && value === value.toLowerCase() && value !== 'unknown',
    address: (value) => typeof value === 'string' && isIP(value) !== 0 && !value.includes('%'),
    userAgent: (value) => isText(value, 512),
    user: (value) => isText(value, 1_024) && bytesOf(value) <= 2_048 && !(value as string).includes('\ufffd'),
    requestId: (value) => isText(value, 1_024) && !(value as string).includes('\ufffd'),
    mediaType: (value) => isText(value, 1_024),
  }
  return Object.entries(line).flatMap(([name, value]) => (checks[name]?.(value) === true ? [] : [name]))
}

const bytesOf = (value: unknown): number =>
  Math.max(Buffer.byteLength(String(value)), Buffer.byteLength(String(value).toLowerCase()))
const isText = (value: unknown, longest: number): boolean =>
  typeof value === 'string' && value !== '' && value.length <= longest && isStorableText(value)

const expectContract = (line: LoggedRequest | LoggedObjectRequest): void => {
  const { class: name, ...fields } = classify(line, NOT_AFTER)
  expect(Object.keys(LINE_CLASSES)).toContain(name)
  if ([...READS, ...DOWNLOADS].includes(name)) {
    expect(broken({ class: name, ...fields })).toEqual([])
    if (READS.includes(name)) expect(fields).toHaveProperty('repository')
    if (name === 'manifest') expect('tag' in fields).not.toBe('digest' in fields)
    else if (name !== 'tags') expect(fields).toHaveProperty('digest')
  } else expect(fields).toEqual({})
}

const HOSTILE = [
  '\0',
  '\ud800',
  '\ufffd',
  '\\x00',
  '\\xff',
  '\\u0000',
  '%00',
  '%ed%a0%80',
  '9'.repeat(20),
  'ä€'.repeat(600),
]
const PIECES = [
  '/v2/',
  'team/app',
  '/manifests/',
  '/blobs/',
  '/tags/list',
  'sha256:',
  'a'.repeat(64),
  '"',
  ' ',
  '-',
  ',',
  'GET',
  '%',
]
const piece = fc.oneof(fc.constantFrom(...HOSTILE, ...PIECES), fc.string({ unit: 'binary', maxLength: 20 }))
const position = fc.double({ min: 0, max: 1, noNaN: true })

/** A line of a format with some of its parts replaced, and its format. */
const mutated = fc
  .tuple(
    fc.constantFrom(...LOG_FORMATS.flatMap((format) => linesOf(format).map((line) => ({ format, line })))),
    fc.array(fc.tuple(position, fc.nat(20), piece), { maxLength: 4 }),
  )
  .map(([{ format, line }, changes]) => ({
    format,
    line: changes.reduce((text, [where, length, by]) => {
      const start = Math.floor(where * text.length)
      return text.slice(0, start) + by + text.slice(start + length)
    }, line),
  }))

const readAlone = (format: LogFormat, line: string): LogLine => {
  const readLine = format.createReader(OPTIONS)
  for (const header of linesOf(format).filter((text) => /^(?:#|"time_micros")/.test(text))) readLine(header)
  try {
    return readLine(line)
  } catch (error) {
    expect(error).toBeInstanceOf(UnknownColumns)
    return { kind: 'other' }
  }
}

test('nothing that is read from any line of any format breaks the contract of senders', () => {
  const seen = new Set<string>()
  fc.assert(
    fc.property(mutated, ({ format, line }) => {
      const read = readAlone(format, line)
      seen.add(read.kind)
      if (read.kind === 'request' || read.kind === 'object') expectContract(read)
    }),
    runs(2_000),
  )
  expect(seen).toContain('request')
  expect(seen).toContain('object')
})

const path = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''))
const method = fc.constantFrom('GET', 'HEAD', 'PUT', 'OPTIONS')
const status = fc.constantFrom(0, 200, 206, 304, 307, 404, 999)
const at = fc.oneof(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), fc.constant(NOT_AFTER))
const HEX = 'ab'.repeat(32)

test('no target, host, object or referer breaks the contract of senders', () => {
  const registry = fc.record({ kind: fc.constant('request' as const), at, method, status, target: path, host: piece })
  const bucket = fc.record({
    kind: fc.constant('object' as const),
    at,
    method,
    status,
    bucket: fc.constant('b'),
    operation: fc.constantFrom('GET_Object', 'GET_Bucket'),
    object: fc.oneof(path, fc.constant(`docker/registry/v2/blobs/sha256/ab/${HEX}/data`)),
    referer: fc.oneof(
      path,
      path.map((text) => `https://gcr.io/v2/${text}`),
    ),
  })
  fc.assert(
    fc.property(fc.oneof(registry, bucket), (line) => {
      expectContract(line)
    }),
    runs(2_000),
  )
})

test('every class has one sentence', () => {
  const sentences = Object.values(LINE_CLASSES)
  expect(new Set(sentences).size).toBe(sentences.length)
  for (const sentence of sentences) expect(sentence).toMatch(/^[a-z].*[^.]$/)
})

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createUnwrap, recognizeWrapper, type Wrapper } from '../../../src/sources/access-logs/unwrap.js'
import { runs } from '../../servers/runs.js'
import { JSON_FORMATS, linesOf } from './reading.js'

const unwrapAll = (wrapper: Wrapper, records: readonly string[]): string[] =>
  records.map(createUnwrap(wrapper)).filter((line) => line !== undefined)

const docker = (log: string, stream = 'stdout'): string =>
  JSON.stringify({ log, stream, time: '2026-11-21T11:39:41.967776743Z' })
const cri = (text: string, tag = 'F', stream = 'stdout'): string =>
  `2026-11-21T11:39:41.967776743Z ${stream} ${tag} ${text}`

test.each<[Wrapper, string, string]>([
  ['docker', docker('a "b"\n'), 'a "b"'],
  ['docker', docker('a\r\n'), 'a'],
  ['docker', docker('\n'), ''],
  ['docker', '{"log":"a\\n","stream":"stderr","attrs":{"tag":"x"},"time":"2026-11-21T11:39:41Z"}', 'a'],
  ['cri', cri('a  b'), 'a  b'],
  ['cri', '2026-11-21T12:39:41.9+01:00 stderr F:x ', ''],
  ['cri', '2026-11-21T11:39:41Z stdout F', ''],
  ['syslog', 'Aug  8 09:01:38 172.18.0.1 proxy[399]: {"a":1}', '{"a":1}'],
  ['syslog', '<30>Aug 18 09:01:38 host docker/0a1b[123]: {"a":1}', '{"a":1}'],
  ['syslog', 'Aug 18 09:01:38 nginx: {"a":1}', '{"a":1}'],
  ['syslog', '2026-11-21T11:39:41.967776+01:00 host nginx: {"a":1}', '{"a":1}'],
  ['syslog', '<190>1 2026-11-21T11:39:41.967Z host nginx 12 - - {"a":1}', '{"a":1}'],
  ['syslog', '<190>1 - - nginx - ID47 [x@1 a="b \\" ] c"][y@2] \ufeff{"a":1}', '{"a":1}'],
  ['syslog', '<190>1 - - nginx - - -', ''],
])('%s: the line of %j', (wrapper, record, line) => {
  expect(recognizeWrapper([record])).toBe(wrapper)
  expect(unwrapAll(wrapper, [record])).toEqual([line])
})

test.each([
  'GET /v2/',
  '{"a":1}',
  '{"log":1,"time":"2026-11-21T11:39:41Z"}',
  '{"log":"a',
  '2026-11-21T11:39:41Z stdout X a',
  '<190>1 - - nginx - - [x a="b',
  '<190>1 - - nginx - - [x]a',
  '203.0.113.7 - - [21/Nov/2026:11:39:41 +0000] "GET /v2/ HTTP/1.1" 200 2 "" "docker"',
  '',
])('%j has no wrapper, and is returned as it is', (line) => {
  expect(recognizeWrapper([line])).toBeUndefined()
  for (const wrapper of ['docker', 'cri', 'syslog'] as const) expect(unwrapAll(wrapper, [line])).toEqual([line])
})

test('the lines of the formats have no wrapper', () => {
  expect(JSON_FORMATS.flatMap(linesOf).filter((line) => recognizeWrapper([line]) !== undefined)).toEqual([])
})

test('a wrapper is recognized if more than half of the lines have it', () => {
  expect(recognizeWrapper([])).toBeUndefined()
  expect(recognizeWrapper(['cut"}', docker('a\n'), '', docker('b\n')])).toBe('docker')
  expect(recognizeWrapper(['x', cri('a')])).toBeUndefined()
})

describe('a line in parts', () => {
  test('is joined for each stream', () => {
    const records = [docker('{"a":'), docker('error', 'stderr'), docker('1}\n'), docker('!\n', 'stderr'), docker('b\n')]
    expect(unwrapAll('docker', records)).toEqual(['{"a":1}', 'error!', 'b'])
    const parts = [cri('{"a":', 'P'), cri('error', 'P', 'stderr'), cri('1}'), cri('!', 'F', 'stderr'), cri('b')]
    expect(unwrapAll('cri', parts)).toEqual(['{"a":1}', 'error!', 'b'])
  })

  test('is cut at 64 KiB', () => {
    const part = 'a'.repeat(16_384)
    const records = [...Array.from({ length: 100 }, () => docker(part)), docker('end\n'), docker('b\n')]
    expect(unwrapAll('docker', records)).toEqual(['a'.repeat(65_536), 'b'])
    expect(unwrapAll('docker', [docker(`${'a'.repeat(70_000)}\n`)])).toEqual(['a'.repeat(65_536)])
  })

  const lines = JSON_FORMATS.flatMap(linesOf)
  const cuts = fc.array(fc.nat(1_500), { maxLength: 4 })
  const partsOf = (text: string, positions: readonly number[]): string[] => {
    const sorted = [0, ...[...positions].sort((a, b) => a - b), text.length]
    return sorted.slice(1).map((end, i) => text.slice(sorted[i], end))
  }

  test('is the same wherever it is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...lines), cuts), { minLength: 1, maxLength: 5 }), (cutLines) => {
        const whole = cutLines.map(([line]) => line)
        const parts = cutLines.map(([line, positions]) => partsOf(line, positions))
        const inDocker = parts.flatMap((some) =>
          some.map((part, i) => docker(i < some.length - 1 ? part : `${part}\n`)),
        )
        expect(unwrapAll('docker', inDocker)).toEqual(whole)
        const inCri = parts.flatMap((some) => some.map((part, i) => cri(part, i < some.length - 1 ? 'P' : 'F')))
        expect(unwrapAll('cri', inCri)).toEqual(whole)
      }),
      runs(200),
    )
  })
})

test('no record makes a wrapper throw', () => {
  const record = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .tuple(fc.constantFrom(docker('a'), cri('a', 'P'), '<190>1 - - a - - [x a="b"] c'), fc.nat(90), fc.string())
      .map(([text, position, other]) => text.slice(0, position) + other + text.slice(position + 1)),
  )
  fc.assert(
    fc.property(fc.array(record), (records) => {
      recognizeWrapper(records)
      for (const wrapper of ['docker', 'cri', 'syslog'] as const) {
        expect(unwrapAll(wrapper, records).length).toBeLessThanOrEqual(records.length)
      }
    }),
    runs(300),
  )
})

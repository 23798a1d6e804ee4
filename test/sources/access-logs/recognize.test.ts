import { describe, expect, test } from '@jest/globals'
import { LOG_FORMATS } from '../../../src/sources/access-logs/log-formats.js'
import { recognize, type GivenNames } from '../../../src/sources/access-logs/recognize.js'
import { fixtureLines } from './reading.js'

const NAMES = LOG_FORMATS.map(({ name }) => name)
const ALL_NAMES = `give --format with one of ${NAMES.join(', ')}`

/** The names of the format and of the wrapper, or the refusal. */
const found = (lines: readonly string[], given?: GivenNames): unknown => {
  const result = recognize(lines, given)
  if ('refusal' in result) return result.refusal
  return result.wrapper === undefined ? result.format.name : `${result.format.name} in ${result.wrapper}`
}

const docker = (line: string): string =>
  JSON.stringify({ log: `${line}\n`, stream: 'stdout', time: '2026-11-21T11:39:41Z' })
const cri = (line: string): string => `2026-11-21T11:39:41.967776743Z stdout F ${line}`
const syslog = (line: string): string => `Nov 21 11:39:41 host app[7]: ${line}`

test('the names of formats are unique, and can be used in commands', () => {
  expect(new Set(NAMES).size).toBe(NAMES.length)
  for (const name of NAMES) expect(name).toMatch(/^[a-z0-9]+(?:-[a-z0-9]+)*$/)
})

describe.each(NAMES)('%s', (name) => {
  const lines = fixtureLines(name)

  test('is recognized by its lines, as they are and in Docker and Kubernetes', () => {
    expect(found(lines)).toBe(name)
    expect(found(lines.map(docker))).toBe(`${name} in docker`)
    expect(found(lines.map(cri))).toBe(`${name} in cri`)
  })

  test('is used if its name is given', () => {
    expect(found(lines, { format: name })).toBe(name)
    expect(found(lines.map(cri), { format: name })).toBe(`${name} in cri`)
    expect(found(['hello'], { format: name })).toBe(name)
    expect(found([], { format: name })).toBe(name)
    expect(found(['hello'], { format: name, wrapper: 'syslog' })).toBe(`${name} in syslog`)
  })
})

const ACCESS = '10.0.0.1 - - [21/Nov/2026:11:39:41 +0000] "GET /v2/ HTTP/1.1" 200 2 "-" "curl/8"'
const [APPLICATION = ''] = fixtureLines('distribution-log')
const [ENVOY = ''] = fixtureLines('envoy')
const [, S3 = ''] = fixtureLines('s3')
const repeat = (line: string, count: number): string[] => Array.from({ length: count }, () => line)

describe('the wrapper', () => {
  test('can be syslog, but Harbor and HAProxy read its prefix themselves', () => {
    expect(found([ACCESS].map(syslog))).toBe('combined in syslog')
    expect(found(fixtureLines('harbor-nginx'))).toBe('harbor-nginx')
  })

  test('is the given one', () => {
    expect(found([docker(ACCESS)], { wrapper: 'docker' })).toBe('combined in docker')
    expect(found([ACCESS], { wrapper: 'docker' })).toBe('combined in docker')
    expect(found([ACCESS], { wrapper: 'none' })).toBe('combined')
  })
})

describe('several formats in one file', () => {
  test('the format of most lines is chosen, and messages of servers do not count', () => {
    expect(found([ACCESS, ENVOY, ACCESS])).toBe('combined')
    expect(found([...repeat('starting', 100), ACCESS])).toBe('combined')
  })

  test.each([
    [[ACCESS, ENVOY], '1 of envoy, 1 of combined'],
    [[...repeat(ACCESS, 2), ENVOY, S3], '2 of combined, 1 of s3, 1 of envoy'],
  ])('no format is chosen if none has most of the lines', (lines, counts) => {
    expect(found(lines)).toBe(`the first lines are of several formats (${counts}): ${ALL_NAMES}`)
    expect(found(lines, { format: 'combined' })).toBe('combined')
  })

  test('the application log of distribution is preferred to its access log, which reports the same requests', () => {
    expect(found([ACCESS, APPLICATION])).toBe('distribution-log')
    expect(found([...repeat(ACCESS, 10), ...repeat(APPLICATION, 5)].map(docker))).toBe('distribution-log in docker')
    expect(found([...repeat(ACCESS, 11), ...repeat(APPLICATION, 5)])).toBe('combined')
  })
})

describe('a file is refused, with advice', () => {
  test.each([
    [[], {}, `no line among the first 0 is of a known format: ${ALL_NAMES}`],
    [['hello', '', docker('hello')], {}, `no line among the first 3 is of a known format: ${ALL_NAMES}`],
    [[docker(ACCESS)], { wrapper: 'none' }, `no line among the first 1 is of a known format: ${ALL_NAMES}`],
    [[ACCESS], { format: 'nginx' }, `there is no format nginx: ${ALL_NAMES}`],
    [[ACCESS], { wrapper: 'k8s' }, 'there is no wrapper k8s: give --wrapper with one of docker, cri, syslog, none'],
  ])('%j with %j', (lines, given, refusal) => {
    expect(found(lines, given)).toBe(refusal)
  })
})

test('only the first 200 lines and 1 MiB are read', () => {
  expect(found([...repeat('x', 199), ACCESS])).toBe('combined')
  expect(found([...repeat('x', 200), ACCESS])).toContain('no line among the first 200')
  expect(found([...repeat('x'.repeat(65_535), 15), ACCESS])).toBe('combined')
  expect(found([...repeat('x'.repeat(65_535), 16), ACCESS])).toContain('no line among the first 16')
})

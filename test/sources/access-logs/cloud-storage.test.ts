import { describe, expect, test } from '@jest/globals'
import { cloudStorage, UnknownColumns } from '../../../src/sources/access-logs/cloud-storage.js'
import { at, fixtureLines, readFixture, readLines } from './reading.js'

const CONFIG = '7216c4a0c7c0e8c3686277aac4b76ae23cc2a76d00fe6bf57661ff7fa5c9dfc4'
const LAYER = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

test('the usage log of Cloud Storage, version 0', () => {
  expect(readFixture(cloudStorage)).toStrictEqual([
    { kind: 'other' },
    {
      kind: 'object',
      at: 1693206014339368,
      method: 'GET',
      status: 200,
      address: '172.71.142.38',
      userAgent:
        'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/116.0.0.0 Safari/537.36',
      bytes: 277,
      bucket: 'kanjiapi.dev',
      operation: 'GET_Object',
      object: 'v1/kanji/集',
      referer: 'http://127.0.0.1:59961/',
    },
    {
      kind: 'object',
      at: at('2025-03-03T00:00:00.000001Z'),
      method: 'GET',
      status: 200,
      address: '203.0.113.7',
      userAgent:
        'docker/24.0.7 go/go1.20.10 os/linux arch/amd64 UpstreamClient("Docker-Client"/24.0.7 \\(linux\\)),gzip(gfe)',
      bytes: 2811478,
      bucket: 'artifacts.acme.appspot.com',
      operation: 'GET_Object',
      object: `containers/images/sha256:${CONFIG}`,
      referer: `https://gcr.io/v2/acme/team/api/blobs/sha256:${CONFIG}`,
    },
    {
      kind: 'object',
      at: at('2025-03-03T00:00:01Z'),
      method: 'GET',
      status: 206,
      address: '2001:db8::7',
      userAgent: 'containerd/1.7.2',
      bytes: 1024,
      bucket: 'acme-registry',
      operation: 'GET_Object',
      object: `docker/registry/v2/blobs/sha256/e3/${LAYER}/data`,
    },
    ...[CONFIG, LAYER].map((hex) => ({
      kind: 'object',
      at: at('2025-03-03T00:00:02Z'),
      method: 'PUT',
      status: 200,
      userAgent: 'GCS Lifecycle Management',
      bucket: 'artifacts.acme.appspot.com',
      operation: 'PUT_Object',
      object: `containers/images/sha256:${hex}`,
    })),
    {
      kind: 'object',
      at: at('2025-03-03T00:00:03Z'),
      method: 'GET',
      status: 200,
      address: '10.0.0.4',
      userAgent: 'gsutil/5.27 Python/3.11.8 (linux)',
      bytes: 48211,
      bucket: 'artifacts.acme.appspot.com',
      operation: 'GET_Bucket',
    },
    {
      kind: 'object',
      at: at('2025-03-03T00:00:04Z'),
      method: 'GET',
      status: 404,
      address: '10.0.0.4',
      userAgent: 'gcloud-golang-storage/20151204',
      bucket: 'acme-registry',
      operation: 'storage.objects.get',
      object: `docker/registry/v2/repositories/team/app/_layers/sha256/${LAYER}/link`,
    },
  ])
})

const [HEADER = '', RECORD = ''] = fixtureLines('cloud-storage')

describe('the header line', () => {
  test.each([
    ['a record', RECORD, 'column 1 is no name of a column instead of time_micros'],
    ['the header of a storage log', '"bucket","storage_byte_hours"', 'column 1 is bucket instead of time_micros'],
    [
      'another order',
      HEADER.replace('"c_ip","c_ip_type"', '"c_ip_type","c_ip"'),
      'column 2 is c_ip_type instead of c_ip',
    ],
    ['a column less', HEADER.replace(',"cs_object"', ''), 'column 17 is no name of a column instead of cs_object'],
    ['a column more', `${HEADER},"x"`, 'column 1 is no name of a column instead of time_micros'],
    ['no quotes', HEADER.replaceAll('"', ''), 'column 1 is no name of a column instead of time_micros'],
  ])('must be that of version 0, not %s', (_, line, culprit) => {
    const read = (): unknown => readLines(cloudStorage, [line])
    expect(read).toThrow(UnknownColumns)
    expect(read).toThrow(culprit)
    expect(() => readLines(cloudStorage, [HEADER, line.startsWith('"time_micros"') ? line : '"time_micros"'])).toThrow(
      UnknownColumns,
    )
  })

  test('contains no value of a line in its error', () => {
    expect(() => readLines(cloudStorage, [RECORD])).not.toThrow(/172|kanji/)
  })

  test('may come again, after empty lines, and with CR LF', () => {
    const lines = ['', `${HEADER}\r`, `${RECORD}\r`, '', HEADER, RECORD]
    expect(readLines(cloudStorage, lines).map(({ kind }) => kind)).toEqual([
      'other',
      'other',
      'object',
      'other',
      'other',
      'object',
    ])
  })
})

test.each([
  ['cut', RECORD.slice(0, -5), 'the line is not 17 fields in quotes'],
  ['without its last field', RECORD.replace(/,"[^"]*"$/, ''), 'the line is not 17 fields in quotes'],
  ['followed by a field', `${RECORD},"x"`, 'the line is not 17 fields in quotes'],
  ['without a quote', RECORD.replace('"GET"', 'GET'), 'the line is not 17 fields in quotes'],
  ['with text after a quote', RECORD.replace('"GET"', '"GET"x'), 'the line is not 17 fields in quotes'],
  ['without a time', RECORD.replace('"1693206014339368"', '""'), 'time is not a time from 1970 to 2255'],
  ['without a method', RECORD.replace('"GET"', '""'), 'method is missing'],
  ['without a status', RECORD.replace('"200"', '""'), 'status is missing'],
  ['without a bucket', RECORD.replace(/"kanjiapi.dev",("[^"]*")$/, '"",$1'), 'bucket is missing or not storable'],
])('a record %s is unreadable', (_, line, detail) => {
  expect(readLines(cloudStorage, [HEADER, line])).toEqual([{ kind: 'other' }, { kind: 'unreadable', detail }])
})

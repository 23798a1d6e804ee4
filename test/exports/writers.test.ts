import { describe, expect, test } from '@jest/globals'
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { parquetMetadata, parquetReadObjects, parquetSchema } from 'hyparquet'
import { isoTime } from '../../src/events/calendar.js'
import { optional, required, type Column, type Row } from '../../src/exports/columns.js'
import { FORMATS } from '../../src/exports/formats.js'
import { FORMAT_NAMES, type FormatName } from '../../src/exports/row-writer.js'
import { runs } from '../servers/runs.js'

const COLUMNS: Column[] = [
  required('requested_at', 'timestamp'),
  required('repository', 'text'),
  optional('tag', 'text'),
  required('status', 'int32'),
  optional('bytes', 'int64'),
  required('is_late', 'boolean'),
]

const tag: fc.Arbitrary<string> = fc.oneof(fc.constantFrom('latest', '=1+1', 'a"b,\r\nc'), fc.string())

const row: fc.Arbitrary<Row> = fc.tuple(
  fc.integer({ min: 0, max: 4_000_000_000_000_000 }),
  fc.oneof(fc.constantFrom('team/app', 'team/web'), fc.string({ unit: 'grapheme' })),
  fc.option(tag, { nil: null }),
  fc.integer({ min: -2_147_483_648, max: 2_147_483_647 }),
  fc.option(fc.nat({ max: Number.MAX_SAFE_INTEGER }), { nil: null }),
  fc.boolean(),
)

const written = async (format: FormatName, portions: readonly (readonly Row[])[]): Promise<Buffer> => {
  const parts: Buffer[] = []
  const { add, end } = FORMATS[format](COLUMNS, async (bytes) => {
    // A copy, because the writer may use the memory again.
    parts.push(Buffer.from(bytes as Uint8Array))
    return Promise.resolve()
  })
  for (const rows of portions) await add(rows)
  await end()
  return Buffer.concat(parts)
}

const bufferOf = (bytes: Buffer): ArrayBuffer => new Uint8Array(bytes).buffer

const namesOf = (row: Row): Record<string, unknown> => Object.fromEntries(COLUMNS.map(({ name }, i) => [name, row[i]]))

describe('a file of rows', () => {
  test.each(FORMAT_NAMES)('%s has the same bytes, however the rows arrive', async (format) => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 30 }), fc.nat({ max: 30 }), async (rows, cut) => {
        const whole = await written(format, [rows])
        expect(await written(format, [rows.slice(0, cut), rows.slice(cut)])).toEqual(whole)
      }),
      runs(50),
    )
  })

  test('in Parquet is read back with equal values', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 40 }), async (rows) => {
        const read = await parquetReadObjects({
          file: bufferOf(await written('parquet', [rows])),
          parsers: { timestampFromMicroseconds: Number },
        })
        const expected = rows.map(([at = 0, repository, tag, status, bytes, isLate]) =>
          namesOf([at, repository ?? '', tag ?? null, status ?? 0, bytes ?? null, isLate ?? false]),
        )
        expect(read.map(({ bytes, ...rest }) => ({ ...rest, bytes: bytes === null ? null : Number(bytes) }))).toEqual(
          expected.map(({ bytes, ...rest }) => ({ ...rest, bytes })),
        )
      }),
      runs(50),
    )
  })

  test('in Parquet has typed columns, row groups of bounded size, and no time of writing', async () => {
    const rows = Array.from({ length: 250_000 }, (_, i): Row => [i, 'team/app', null, 200, i, false])
    const metadata = parquetMetadata(bufferOf(await written('parquet', [rows])))
    expect(metadata.row_groups.map(({ num_rows }) => Number(num_rows))).toEqual([100_000, 100_000, 50_000])
    expect(metadata.created_by).toBe('tallyman')
    expect(metadata.key_value_metadata).toBeUndefined()
    expect(parquetSchema(metadata).children.map(({ element }) => element)).toEqual([
      expect.objectContaining({
        name: 'requested_at',
        type: 'INT64',
        repetition_type: 'REQUIRED',
        logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
      }),
      expect.objectContaining({ name: 'repository', type: 'BYTE_ARRAY', logical_type: { type: 'STRING' } }),
      expect.objectContaining({ name: 'tag', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' }),
      expect.objectContaining({ name: 'status', type: 'INT32' }),
      expect.objectContaining({ name: 'bytes', type: 'INT64' }),
      expect.objectContaining({ name: 'is_late', type: 'BOOLEAN' }),
    ])
  })

  test('in NDJSON has one object on each line', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 30 }), async (rows) => {
        const lines = (await written('ndjson', [rows])).toString().split('\n')
        expect(lines.pop()).toBe('')
        expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(
          rows.map(([at, ...rest]) => namesOf([isoTime(Number(at)), ...rest])),
        )
      }),
      runs(50),
    )
  })

  test('in CSV has a heading and exact fields, and no cell that a spreadsheet runs', async () => {
    const rows: Row[] = [
      [0, 'team/app', 'a"b,\r\nc', 200, null, true],
      [1, 'team/app', '=1+1', 404, 7, false],
    ]
    expect(parse((await written('csv', [rows])).toString())).toEqual([
      COLUMNS.map(({ name }) => name),
      ['1970-01-01T00:00:00.000000Z', 'team/app', 'a"b,\r\nc', '200', '', 'true'],
      ['1970-01-01T00:00:00.000001Z', 'team/app', "'=1+1", '404', '7', 'false'],
    ])
  })
})

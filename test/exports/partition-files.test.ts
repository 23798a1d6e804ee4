import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { exportPartitions } from '../../src/exports/export-days.js'
import type { ExportTable } from '../../src/exports/export-table.js'
import { partitionPath } from '../../src/exports/partition-file.js'
import { requestsTable } from '../../src/exports/requests.js'
import { NOW } from '../servers/clock.js'
import { DAYS, publicId, useExports, writeDays } from '../servers/exports.js'
import { keepLive } from '../servers/stored-requests.js'
import { STORE_PAIRS } from '../servers/stores.js'

describe.each(STORE_PAIRS)('%s', (_name, open) => {
  const suite = useExports(open)

  const requestsOf = (): ExportTable =>
    requestsTable({ database: suite.stores.database, registries: undefined, publicId, keptDays: 1_000, now: NOW })

  test('a file of a day of which requests have expired is kept', async () => {
    await keepLive(suite.stores, [{ n: 1, table: 'requests' }])
    const table = requestsTable({ ...suite.stores, registries: undefined, publicId, keptDays: 2, now: NOW })
    const directory = join(suite.folder.path, 'out')
    const path = partitionPath(directory, 'requests', { day: '2026-11-18', format: 'csv' })
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, 'earlier')
    const options = { directory, format: 'csv' as const, days: DAYS, onRows: () => undefined }
    expect(await exportPartitions(table, { ...options, isReplacing: false })).toEqual({ files: [], kept: [path] })
    expect(readFileSync(path, 'utf8')).toBe('earlier')
    expect((await exportPartitions(table, { ...options, isReplacing: true })).files).toHaveLength(1)
    expect(readFileSync(path, 'utf8')).toMatch(/^requested_at,/)
  })

  test('a day that fails leaves the earlier file, and no other', async () => {
    await keepLive(suite.stores, [{ n: 1, table: 'requests' }])
    const { files } = await writeDays(requestsOf(), suite.folder.path)
    const path = files[0]?.path ?? ''
    const before = readFileSync(path)
    const table: ExportTable = {
      ...requestsOf(),
      readDay: async (day, take) =>
        requestsOf().readDay(day, async (rows) => {
          await take(rows)
          throw new Error('lost')
        }),
    }
    await expect(writeDays(table, suite.folder.path)).rejects.toThrow('lost')
    expect(readFileSync(path)).toEqual(before)
    expect(readdirSync(dirname(path))).toEqual(['part-0.parquet'])
  })

  test('a directory that cannot be written is reported with its path', async () => {
    await keepLive(suite.stores, [{ n: 1, table: 'requests' }])
    writeFileSync(join(suite.folder.path, 'out'), '')
    await expect(writeDays(requestsOf(), join(suite.folder.path, 'out'))).rejects.toThrow(
      /day=2026-11-18.* cannot be written: /,
    )
    // A file system that refuses new names.
    await expect(writeDays(requestsOf(), '/proc/none')).rejects.toThrow(/^\/proc\/none\/.* cannot be written: /)
  })

  test('no rows give no files', async () => {
    expect(await writeDays(requestsOf(), suite.folder.path)).toEqual({ files: [], kept: [] })
    expect(existsSync(join(suite.folder.path, 'out'))).toBe(false)
  })
})

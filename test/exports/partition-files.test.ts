import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { exportPartitions } from '../../src/exports/export-days.js'
import type { ExportTable } from '../../src/exports/export-table.js'
import { partitionPath } from '../../src/exports/partition-file.js'
import { requestsTable } from '../../src/exports/requests.js'
import { NOW } from '../servers/clock.js'
import { DAYS, publicId, writeDays } from '../servers/exports.js'
import { temporaryFolder } from '../servers/process.js'
import { keepLive } from '../servers/stored-requests.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

describe.each(STORE_PAIRS)('%s', (_name, open) => {
  let stores: TestStores
  let folder: ReturnType<typeof temporaryFolder>
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => {
    await stores.close()
  })
  beforeEach(() => {
    folder = temporaryFolder('exports')
  })
  afterEach(async () => {
    folder.remove()
    await stores.clear()
  })

  const requestsOf = (): ExportTable =>
    requestsTable({ database: stores.database, registries: undefined, publicId, keptDays: 1_000, now: NOW })

  test('a file of a day of which requests have expired is kept', async () => {
    await keepLive(stores, [{ n: 1, table: 'requests' }])
    const table = requestsTable({ ...stores, registries: undefined, publicId, keptDays: 2, now: NOW })
    const directory = join(folder.path, 'out')
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
    await keepLive(stores, [{ n: 1, table: 'requests' }])
    const { files } = await writeDays(requestsOf(), folder.path)
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
    await expect(writeDays(table, folder.path)).rejects.toThrow('lost')
    expect(readFileSync(path)).toEqual(before)
    expect(readdirSync(dirname(path))).toEqual(['part-0.parquet'])
  })

  test('a directory that cannot be written is reported with its path', async () => {
    await keepLive(stores, [{ n: 1, table: 'requests' }])
    writeFileSync(join(folder.path, 'out'), '')
    await expect(writeDays(requestsOf(), join(folder.path, 'out'))).rejects.toThrow(
      /day=2026-11-18.* cannot be written: /,
    )
    // A file system that refuses new names.
    await expect(writeDays(requestsOf(), '/proc/none')).rejects.toThrow(/^\/proc\/none\/.* cannot be written: /)
  })

  test('no rows give no files', async () => {
    expect(await writeDays(requestsOf(), folder.path)).toEqual({ files: [], kept: [] })
    expect(existsSync(join(folder.path, 'out'))).toBe(false)
  })
})

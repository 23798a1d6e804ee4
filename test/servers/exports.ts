import { readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals'
import { parquetReadObjects } from 'hyparquet'
import { exportPartitions, type Exported } from '../../src/exports/export-days.js'
import type { Days, ExportTable } from '../../src/exports/export-table.js'
import type { FormatName } from '../../src/exports/row-writer.js'
import { keyedHash } from '../../src/runtime/keyed-hash.js'
import { temporaryFolder } from './process.js'
import type { TestStores } from './stores.js'

/** The days that tests export. */
export const DAYS: Days = { from: '2026-11-01', to: '2026-11-20' }

export const publicId = (id: string): string => keyedHash('key', id)

/** Exports the rows of DAYS. */
export const writeDays = async (
  table: ExportTable,
  directory: string,
  format: FormatName = 'parquet',
): Promise<Exported> =>
  exportPartitions(table, { directory, format, days: DAYS, isReplacing: false, onRows: () => undefined })

/** The rows of a Parquet file. */
export const readBack = async (path: string): Promise<Record<string, unknown>[]> =>
  parquetReadObjects({ file: new Uint8Array(readFileSync(path)).buffer })

type Suite = { stores: TestStores; folder: ReturnType<typeof temporaryFolder> }

/** The stores of a suite, and a folder for each of its tests, after which the stores are emptied. Both are there while a test runs. */
export const useExports = (open: () => Promise<TestStores>): Suite => {
  const suite = {} as Suite
  beforeAll(async () => {
    suite.stores = await open()
  })
  afterAll(async () => {
    await suite.stores.close()
  })
  beforeEach(() => {
    suite.folder = temporaryFolder('exports')
  })
  afterEach(async () => {
    suite.folder.remove()
    await suite.stores.clear()
  })
  return suite
}

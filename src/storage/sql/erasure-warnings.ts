import type { Database } from './database.js'
import { readMark } from './erasure-marks.js'
import { readPendingRewrites } from './erase-traces.js'

/** The files of the embedded database that still contain erased rows, and what an operator can do, one sentence each. */
export const erasureWarnings = async ({ engine, sql: db }: Database): Promise<string[]> => {
  if (engine === 'postgresql') return []
  const tables = await readPendingRewrites(db)
  const files = [
    ...((await readMark(db, 'log')) === undefined ? [] : ['the write-ahead log']),
    ...((await readMark(db, 'dumps')) === undefined ? [] : ['dumps']),
  ]
  return [
    ...(tables.length === 0
      ? []
      : [`restart to finish erasing: the files of ${tables.join(', ')} still contain deleted rows`]),
    ...(files.length === 0
      ? []
      : [
          `${files.join(' and ')} may still contain erased rows: free space on the disk, then restart, or wait for the next dump`,
        ]),
  ]
}

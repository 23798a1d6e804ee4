import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config/config.js'
import { embeddedFiles } from '../storage/embedded/files.js'

type StoreConfig = Pick<Config, 'database_url' | 'data_dir'>

/** A file that exists in the data directory once a service with this directory has used PostgreSQL. */
const markerIn = (directory: string): string => join(directory, 'postgresql.used')

/**
 * Warns if the data directory belongs to another store than the one in the configuration: numbers would begin at zero, or be old.
 * Only checks which files exist; opens no store.
 */
export const otherStoreWarnings = ({ database_url, data_dir }: StoreConfig): string[] => {
  const { data, marker: initialised } = embeddedFiles(data_dir)
  if (database_url === undefined) {
    if (!hasUsedPostgres(data_dir)) return []
    return [
      `DATABASE_URL is not set, so the embedded database in ${data_dir} is used, but a service of this directory has used ` +
        `PostgreSQL: set DATABASE_URL, or, if the embedded database is meant, remove ${markerIn(data_dir)}`,
    ]
  }
  if (!existsSync(initialised)) return []
  return [
    `DATABASE_URL is set, and ${data_dir} contains an embedded database, which is not used: its inventory and pulls are not in ` +
      'PostgreSQL, its counters only if they were exported and imported (docs/operations.md, "From the embedded store to servers"). ' +
      `If it is not needed any more, move ${data} and ${initialised} out of the directory`,
  ]
}

const MARKER_TEXT = 'A service with this data directory has used PostgreSQL. Without DATABASE_URL, Tallyman warns.\n'

/** Whether a service with this data directory has used PostgreSQL, and no operator has removed the marker since. */
export const hasUsedPostgres = (directory: string): boolean => existsSync(markerIn(directory))

/**
 * Creates the marker if the service uses PostgreSQL. Does not create the directory, and ignores a directory that is not writable.
 */
export const markPostgres = ({ database_url, data_dir }: StoreConfig): void => {
  if (database_url === undefined || !existsSync(data_dir)) return
  try {
    writeFileSync(markerIn(data_dir), MARKER_TEXT, { mode: 0o600 })
  } catch {
    // The marker only serves a warning, and a directory of secrets may be read-only.
  }
}

import { join } from 'node:path'
import { exists } from '../../runtime/exists.js'

/** What the embedded database has in a data directory. */
export type EmbeddedFiles = {
  /** The directory of the database. */
  data: string
  /** A file that exists once the schema is in place: an empty database is then a loss. */
  marker: string
  /** The directory of dumps. */
  dumps: string
  /** A directory for copies on which statements of operators run. */
  scratch: string
}

export const embeddedFiles = (directory: string): EmbeddedFiles => ({
  data: join(directory, 'db'),
  marker: join(directory, 'initialised'),
  dumps: join(directory, 'dumps'),
  scratch: join(directory, 'sql'),
})

/**
 * Whether an embedded database is in a data directory, or was: then opening it says what was lost.
 * @throws FileError if the directory cannot be looked into
 */
export const hasEmbeddedDatabase = (directory: string): boolean => {
  const { data, marker } = embeddedFiles(directory)
  return exists(data) || exists(marker)
}

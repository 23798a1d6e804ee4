import { join } from 'node:path'
import { exists } from '../../runtime/exists.js'

/** The paths of the embedded database in a data directory. */
export type EmbeddedFiles = {
  /** The directory of the database. */
  data: string
  /** A file that exists after the schema was created: from then on, an empty database means lost data. */
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
 * Whether a data directory contains an embedded database, or contained one: then opening it reports the loss.
 * @throws FileError if the directory cannot be read
 */
export const hasEmbeddedDatabase = (directory: string): boolean => {
  const { data, marker } = embeddedFiles(directory)
  return exists(data) || exists(marker)
}

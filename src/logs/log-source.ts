import type { Readable } from 'node:stream'

/** A log to import: a file, standard input, or an object of a bucket. */
export type LogSource = {
  /** What messages and the list of imports call the log: a path, for example. */
  name: string
  /**
   * Reads the log from its beginning, decompressed. An import opens a log several times. The stream has the errors of `decompress`; after
   * another error nothing of the portion that was being read is imported.
   */
  open: () => Promise<Readable>
  /** Whether a last line without a line end may still be written. Such a line is left for a later import. Default: false. */
  canGrow?: boolean
}

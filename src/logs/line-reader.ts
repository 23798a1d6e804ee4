import type { LogFormat, ReaderOptions } from '../sources/access-logs/log-format.js'
import type { Wrapper } from '../sources/access-logs/unwrap.js'
import { createTextReader, handOn, type OnRequest, type ReadBytes } from './line-text.js'
import { createScannedReader } from './scanned-reader.js'

export type LineReader = {
  /** Reads a line, and calls `onRequest` before it returns if the line is a request to read. */
  read: ReadBytes
  /** Reads a line that was imported before: lines after it may depend on it. */
  skip: (bytes: Buffer, start: number, end: number) => void
}

export type LineReaderDeps<What, Who> = OnRequest<What, Who> & {
  format: LogFormat
  wrapper: Wrapper | undefined
  options: ReaderOptions
  /** A secret number. */
  seed: number
}

/** Reads the lines of a file. */
export const createLineReader = <What, Who>({
  format,
  wrapper,
  options,
  seed,
  ...on
}: LineReaderDeps<What, Who>): LineReader => {
  const readText = createTextReader(format, wrapper, options)
  const scan = wrapper === undefined ? format.createScan?.() : undefined
  return {
    read: scan
      ? createScannedReader({ scan, readText, seed, notAfter: options.notAfter, ...on })
      : (bytes, start, end) => handOn(readText(bytes.toString('utf8', start, end)), on),
    skip: (bytes, start, end) => {
      readText(bytes.toString('utf8', start, end))
    },
  }
}

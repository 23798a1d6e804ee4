import { Writable } from 'node:stream'
import { csvLine } from '../../http/csv.js'
import { printable, printableLines } from '../../runtime/printable.js'
import { context } from '../command-context.js'

/**
 * The only place that writes to standard output and standard error (and progress.ts, which draws over its own line): names of
 * registries, tags and people come from strangers, and so do the answers of other servers.
 */

/** Writes text of several lines to standard output. Values in it that may contain a line feed are to be made `printable` first. */
export const write = (text: string, done?: (error?: Error | null) => void): void => {
  context().stdout.write(printableLines(text), done)
}

/** Writes a text to standard error. Its further lines are indented, so that none of them looks like a line of its own. */
export const writeError = (text: string): void => {
  context().stderr.write(`${printableLines(text).replace(/\n(?!\s|$)/g, '\n  ')}\n`)
}

/** Writes help and errors of options as they are laid out. */
export const writeHelp = (text: string, to: 'stdout' | 'stderr'): void => {
  context()[to].write(printableLines(text))
}

/**
 * Writes rows of CSV. A file or a pipe gets the exact values; on a terminal unprintable characters are escaped, and lines end
 * with a line feed alone.
 */
export const writeCsv = (rows: readonly (readonly unknown[])[]): void => {
  const { stdout } = context()
  const lineOf = stdout.isTTY === true ? csvLineOnTerminal : csvLine
  stdout.write(rows.map(lineOf).join(''))
}

const csvLineOnTerminal = (values: readonly unknown[]): string => {
  const line = csvLine(values.map((value) => (typeof value === 'string' ? printable(value) : value)))
  return printableLines(line.replace(/\r\n$/, '\n'))
}

/** Standard output for lines of JSON that come in pieces; to escape characters of JSON does not change its meaning. */
export const standardOutput = (): Writable => {
  const { stdout } = context()
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return new Writable({
    decodeStrings: false,
    write: (chunk: Buffer | string, _encoding, done) => {
      stdout.write(printableLines(typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })), done)
    },
  })
}

/** Of a terminal that does not report its width. */
const USUAL_COLUMNS = 80

/** The columns of the terminal that standard output is; `undefined` if it is none. */
export const terminalWidth = (): number | undefined => {
  const { isTTY = false, columns = 0 } = context().stdout
  return isTTY ? columns || USUAL_COLUMNS : undefined
}

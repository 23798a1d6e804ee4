import { Writable } from 'node:stream'
import { csvLine } from '../../runtime/csv.js'
import { printable, printableLines } from '../../runtime/printable.js'
import { context } from '../command-context.js'

/**
 * Only this file writes to standard output and standard error (and progress.ts, which overwrites its own line), so that all texts are
 * escaped: names of registries, tags and people, and the answers of other servers, come from strangers.
 */

/** Writes text of several lines to standard output. Values that may contain a line feed must be passed through `printable` before. */
export const write = (text: string, done?: (error?: Error | null) => void): void => {
  context().stdout.write(printableLines(text), done)
}

/** Writes a text to standard error. Its further lines are indented, so that they do not look like separate messages. */
export const writeError = (text: string): void => {
  context().stderr.write(`${printableLines(text).replace(/\n(?!\s|$)/g, '\n  ')}\n`)
}

/** Writes help and errors of options without a change of their layout. */
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

/** Standard output for lines of JSON that arrive in pieces. Escaping characters of JSON does not change its meaning. */
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

/**
 * Standard output for lines of CSV that arrive in pieces. As with `writeCsv`, a file or a pipe gets the exact text. On a terminal, values
 * must be passed through `printable` before.
 */
export const csvOutput = (): Writable => {
  const { stdout } = context()
  return new Writable({
    decodeStrings: false,
    write: (chunk: Buffer | string, _encoding, done) => {
      const text = String(chunk)
      stdout.write(stdout.isTTY === true ? printableLines(text.replaceAll('\r\n', '\n')) : text, done)
    },
  })
}

/** The assumed width of a terminal that does not report one. */
const USUAL_COLUMNS = 80

/** The width of the terminal in columns; `undefined` if standard output is no terminal. */
export const terminalWidth = (): number | undefined => {
  const { isTTY = false, columns = 0 } = context().stdout
  return isTTY ? columns || USUAL_COLUMNS : undefined
}

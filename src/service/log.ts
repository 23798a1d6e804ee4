import { isNativeError } from 'node:util/types'
import { printableLines } from '../runtime/printable.js'
import { storeOf, unavailableReason } from '../storage/unavailable.js'
import { pino, type DestinationStream, type Logger } from 'pino'
import { createLogOutput, openStandardOutput, type LogOutput } from './log-output.js'

/** IP addresses, of clients or of stores: a log has many readers, and must not contain them. */
const ADDRESS =
  /\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|(?<![\w:.])(?:\[?[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}\]?)(?::\d+)?(?![\w:.])/gi

/** Removes IP addresses from a text. */
const withoutAddresses = (text: string): string => text.replace(ADDRESS, '(address)')

/** The message of an error in one line, for errors whose stack is not useful. */
export const reasonOf = (error: unknown): string =>
  error instanceof Error || isNativeError(error) ? withoutAddresses(unavailableReason(error)) : typeof error

/** The largest number of logged errors among the `errors` of an error, and the largest depth of nested errors. */
const [MOST_ERRORS, DEEPEST] = [5, 4]

/**
 * The form in which an error is logged, with its causes, and the store that does not answer. Only these fields are logged: errors
 * of database drivers contain whole commands and rows, and so ids of people.
 */
const serializeError = (error: unknown, depth = 0): object => {
  if (!(error instanceof Error || isNativeError(error))) return { type: typeof error }
  const store = storeOf(error)
  return {
    type: error.name,
    ...(store !== undefined && { store }),
    message: withoutAddresses(unavailableReason(error)),
    ...('code' in error && { code: error.code }),
    stack: withoutAddresses(error.stack ?? ''),
    ...(depth < DEEPEST && behind(error, depth + 1)),
  }
}

const behind = (error: Error, depth: number): object => ({
  ...(error.cause !== undefined && { cause: serializeError(error.cause, depth) }),
  ...('errors' in error &&
    Array.isArray(error.errors) && {
      errors: error.errors.slice(0, MOST_ERRORS).map((one) => serializeError(one, depth)),
    }),
})

/**
 * Creates a structured log with one JSON object per line.
 * @param to the destination of lines. It must not block: the default destination of pino waits for a full disk for ever
 */
export const createLog = (level: string, to: DestinationStream): Logger =>
  pino(
    {
      level,
      base: {},
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (error: unknown) => serializeError(error) },
      // People read logs on a terminal, so unprintable characters are escaped. The escapes do not change the meaning of the JSON.
      hooks: { streamWrite: printableLines },
    },
    to,
  )

/** The destination of the service's log: standard output, which may be full, slow or closed. */
export const createServiceLogOutput = (now: () => Date): LogOutput =>
  createLogOutput({ writeSome: openStandardOutput(), report: reportDropped, now })

/** Returns the line that reports dropped lines, in the form of the log. */
export const reportDropped = (lines: number, reason: string): string => {
  let text = ''
  createLog('warn', { write: (line) => (text = line) }).warn(
    { lines, reason },
    'lines of the log were dropped, because standard output could not be written',
  )
  return text
}

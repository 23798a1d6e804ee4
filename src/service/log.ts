import { isNativeError } from 'node:util/types'
import { printableLines } from '../runtime/printable.js'
import { storeOf } from '../storage/sql/store-of-error.js'
import { pino, type DestinationStream, type Logger } from 'pino'

/** Addresses of clients, and of stores: neither belongs into a log that many may read. */
const ADDRESS =
  /\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|(?<![\w:.])(?:\[?[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}\]?)(?::\d+)?(?![\w:.])/gi

/** Removes IP addresses from a text. */
const withoutAddresses = (text: string): string => text.replace(ADDRESS, '(address)')

/** The message of an error in one line, for errors of which the stack says nothing. */
export const reasonOf = (error: unknown): string =>
  error instanceof Error || isNativeError(error) ? withoutAddresses(error.message) : typeof error

/** Of errors that join others (`errors`) or were caused by one (`cause`), so many are logged, and so deep. */
const [MOST_ERRORS, DEEPEST] = [5, 4]

/**
 * An error as it is logged, with the errors behind it, and with the store that does not answer. Only what is named here: errors of database drivers carry whole commands and rows, which hold
 * ids of people.
 */
const serializeError = (error: unknown, depth = 0): object => {
  if (!(error instanceof Error || isNativeError(error))) return { type: typeof error }
  const store = storeOf(error)
  return {
    type: error.name,
    ...(store !== undefined && { store }),
    message: withoutAddresses(error.message),
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

/** Structured logs, a line of JSON each. @param to where lines are written; standard output unless said. */
export const createLog = (level: string, to?: DestinationStream): Logger =>
  pino(
    {
      level,
      base: {},
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (error: unknown) => serializeError(error) },
      // Whoever reads a log reads it on a terminal, and JSON with more escapes means the same.
      hooks: { streamWrite: printableLines },
    },
    to,
  )

/**
 * The kind of an error: `http/problem.ts` maps it to a status. An error of the kind `setup` must be corrected by the operator,
 * for example in a setting or a file; another request would not help.
 */
export type ErrorKind =
  'invalid' | 'too-large' | 'not-found' | 'conflict' | 'upstream' | 'unavailable' | 'timeout' | 'setup'

/** An error whose message is for a person: it names the culprit, what was expected, and what to do. Commands print it without a stack. */
export abstract class UserError extends Error {
  abstract readonly kind: ErrorKind
}

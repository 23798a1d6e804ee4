/**
 * What kind of failure an error is: `http/problem.ts` makes a status of it. `setup` is what whoever runs Tallyman has to correct, such as a
 * setting or a file; a request cannot do anything about it.
 */
export type ErrorKind =
  'invalid' | 'too-large' | 'not-found' | 'conflict' | 'upstream' | 'unavailable' | 'timeout' | 'setup'

/** An error whose message is for a person: it names the culprit, what was expected, and what to do. Commands print it without a stack. */
export abstract class UserError extends Error {
  abstract readonly kind: ErrorKind
}

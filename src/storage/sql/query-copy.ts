import type { ReadOnlyAnswer, ReadOnlyLimits } from './read-only.js'

/** No copy can be made now. The message says why. */
export class QueryCopyUnavailable extends Error {}

/** The statement was ended because it took too long. */
export class QueryTimedOut extends Error {}

/**
 * Runs one read-only statement on a copy of the embedded database. Ends the statement when its time is over, when the disk is nearly
 * full, or when `signal` is aborted.
 */
export type QueryCopy = (statement: string, limits: ReadOnlyLimits, signal?: AbortSignal) => Promise<ReadOnlyAnswer>

/** Clients wait about 300 s until an answer begins; a copy is made and opened before its statement runs. */
export const MOST_SECONDS = 240

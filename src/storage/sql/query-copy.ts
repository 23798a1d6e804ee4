import type { ReadOnlyAnswer, ReadOnlyLimits } from './read-only.js'

/** No copy can be made now. The message contains the reason. */
export class QueryCopyUnavailable extends Error {}

/** The statement was ended because it took too long. */
export class QueryTimedOut extends Error {}

/**
 * Runs one read-only statement on a copy of the embedded database. The statement is ended at its time limit, when the disk is
 * nearly full, or when `signal` is aborted.
 */
export type QueryCopy = (statement: string, limits: ReadOnlyLimits, signal?: AbortSignal) => Promise<ReadOnlyAnswer>

/** HTTP clients give up after about 300 s without an answer. Making and opening the copy takes part of that time. */
export const MOST_SECONDS = 240

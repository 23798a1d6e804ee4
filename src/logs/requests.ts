import type { Micros } from '../events/calendar.js'
import type { Requester } from '../events/registry-request.js'
import type { LoggedRead } from '../sources/access-logs/logged-read.js'
import type { Sql } from '../storage/sql/database.js'

/**
 * Where the requests of a file go. `pulls` provides it. `What` and `Who` stand for what was requested and for its requester; each is
 * made once, and is part of many requests.
 */
export type Requests<What, Who> = {
  /** @returns undefined for a read that is no part of a pull */
  what: (read: LoggedRead) => What | undefined
  who: (requester: Requester) => Who
  add: (request: {
    what: What
    who: Who
    at: Micros
    /** Bytes of the answer. */
    bytes: number | undefined
    /** The hash of the line. */
    idHigh: number
    idLow: number
  }) => void
  /** About how many bytes of memory the requests take. */
  weight: () => number
  /**
   * Takes the requests since the last call. The result stores them, in the transaction that stores the progress of the file; it is
   * called again if that transaction is retried. It returns the number of requests that are too late to be counted.
   */
  take: () => (tx: Sql, file: string) => Promise<number>
}

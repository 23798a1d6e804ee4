import type { ServerResponse } from 'node:http'
import { LARGEST_ANSWER } from '../storage/sql/answer-size.js'

const MEBIBYTE = 1024 * 1024
/** Bytes of all answers that wait for their clients. The largest answer fits beside the others. */
const MOST_UNREAD = 64 * MEBIBYTE + LARGEST_ANSWER
const UNREAD_LIMIT_MS = 30_000

type LimitOptions = {
  /** Milliseconds that an answer may make no progress after all of the answer was made. */
  limitMs?: number
  /** Bytes of all unread answers together. */
  mostBytes?: number
  /** A connection was closed because the unread answers together have too many bytes. */
  onDropped?: () => void
}

/**
 * Bounds the memory of answers that their clients do not read. An answer that makes no progress is dropped, with its connection.
 * If all unread answers together have too many bytes, the largest ones are dropped. A client that reads slowly is otherwise left
 * alone.
 * @returns watches an answer that is not made yet
 */
export const limitUnread = ({ limitMs = UNREAD_LIMIT_MS, mostBytes = MOST_UNREAD, onDropped }: LimitOptions = {}): ((
  response: ServerResponse,
) => void) => {
  const unread = new Set<ServerResponse>()

  const dropLargest = (): void => {
    let bytes = 0
    for (const { writableLength } of unread) bytes += writableLength
    while (bytes > mostBytes) {
      const largest = [...unread].reduce((one, other) => (other.writableLength > one.writableLength ? other : one))
      bytes -= largest.writableLength
      unread.delete(largest)
      largest.destroy()
      onDropped?.()
    }
  }

  const watch = (response: ServerResponse): void => {
    // Most often the kernel has taken the whole answer by now.
    if (response.writableLength === 0) return
    response.socket?.setTimeout(limitMs)
    unread.add(response)
    response.once('close', () => unread.delete(response))
    dropLargest()
  }

  return (response) => {
    response.once('prefinish', () => {
      watch(response)
    })
  }
}

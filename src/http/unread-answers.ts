import type { ServerResponse } from 'node:http'
import { LARGEST_ANSWER } from '../storage/sql/answer-size.js'

const MEBIBYTE = 1024 * 1024
/** Bytes of all unread answers. Even the largest answer fits in addition to others. */
const MOST_UNREAD = 64 * MEBIBYTE + LARGEST_ANSWER
const UNREAD_LIMIT_MS = 30_000

type LimitOptions = {
  /** Milliseconds for which a complete answer may make no progress. */
  limitMs?: number
  /** Bytes of all unread answers together. */
  mostBytes?: number
  /** Called when a connection was closed because all unread answers together exceed the limit. */
  onDropped?: () => void
}

/**
 * Limits the memory of answers that their clients do not read. An answer without progress is dropped with its connection. If all unread
 * answers together have too many bytes, the largest ones are dropped. Otherwise a client may read slowly.
 * @returns a function to call for each answer before it is complete
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
    // Usually the kernel has accepted the whole answer by now.
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

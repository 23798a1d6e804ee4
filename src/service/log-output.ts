import { constants, openSync, writeSync } from 'node:fs'
import { isatty } from 'node:tty'
import type { DestinationStream } from 'pino'
import { MS_PER_DAY } from '../events/calendar.js'
import { fileProblem } from '../runtime/file-error.js'

/** The lines of the log that were dropped since the start. */
export type DroppedLines = {
  lines: number
  /** When and why the last one was dropped. */
  last?: { at: Date; reason: string }
}

export type LogOutput = DestinationStream & {
  dropped: () => DroppedLines
  /** Writes the pending lines before the process exits. Waits only briefly for a slow reader. */
  flush: () => void
}

type LogOutputDeps = {
  /** Writes the beginning of these bytes without waiting, and returns the number of written bytes. @throws Error with a code */
  writeSome: (bytes: Buffer) => number
  /** Returns the line that reports dropped lines. */
  report: (lines: number, reason: string) => string
  now: () => Date
}

/** `reported` is the number of dropped lines that the line reports; 0 for a line of the log. */
type PendingLine = { bytes: Buffer; reported: number; isBegun: boolean }

const STANDARD_OUTPUT = 1
/** About 5,000 lines for a reader that is slower than the service. */
const MOST_PENDING_BYTES = 2 ** 20
const [RETRY_BUSY_MS, RETRY_FAILED_MS] = [100, 1_000]
/** Shorter than the time that the watchdog of `serve` leaves after its last message. */
const [FLUSH_MS, FLUSH_STEP_MS] = [400, 10]

/** The output is a pipe, a socket or a terminal without room; it may have room later. */
const BUSY: ReadonlySet<string> = new Set(['EAGAIN', 'EBUSY', 'EINTR'])
const REASONS: Readonly<Record<string, string>> = {
  EAGAIN: 'its reader is too slow',
  EPIPE: 'its reader is gone',
  EBADF: 'it is closed',
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown'

const reasonOf = (error: unknown): string =>
  fileProblem(error) ?? [REASONS[codeOf(error)], `(${codeOf(error)})`].filter((part) => part !== undefined).join(' ')

/**
 * Creates a destination that neither blocks nor throws. If a write fails, its lines are dropped. If the output has no room, a bounded
 * number of lines is kept. A line reports the number of dropped lines when writing works again.
 */
export const createLogOutput = ({ writeSome, report, now }: LogOutputDeps): LogOutput => {
  let pending: PendingLine[] = []
  let pendingBytes = 0
  let unreported = 0
  let dropped: DroppedLines = { lines: 0 }
  let reason = ''
  let retry: NodeJS.Timeout | undefined

  const drop = ({ reported }: Pick<PendingLine, 'reported'>): void => {
    unreported += reported || 1
    if (reported === 0) dropped = { lines: dropped.lines + 1, last: { at: now(), reason } }
  }

  /** A line whose beginning is written stays: its rest is written later, so that every line is whole. */
  const dropPending = (): void => {
    const lines = pending
    pending = lines.filter(({ isBegun }) => isBegun)
    pendingBytes = pending.reduce((sum, { bytes }) => sum + bytes.length, 0)
    for (const line of lines) if (!line.isBegun) drop(line)
  }

  const add = (text: string, reported = 0): void => {
    const bytes = Buffer.from(text)
    if (pendingBytes + bytes.length > MOST_PENDING_BYTES) {
      reason ||= 'the line is too long'
      drop({ reported })
      return
    }
    pending.push({ bytes, reported, isBegun: false })
    pendingBytes += bytes.length
  }

  const addReport = (): void => {
    const lines = unreported
    if (lines === 0) return
    unreported = 0
    add(report(lines, reason), lines)
  }

  const writeLine = (line: PendingLine): void => {
    while (line.bytes.length > 0) {
      const written = writeSome(line.bytes)
      // A device that takes no byte must not keep the service in this loop.
      if (written === 0) throw Object.assign(new Error('nothing was written'), { code: 'EAGAIN' })
      pendingBytes -= written
      line.bytes = line.bytes.subarray(written)
      line.isBegun = true
    }
  }

  /** @returns how long to wait before the next attempt, in milliseconds */
  const writePending = (): number => {
    let done = 0
    try {
      for (const line of pending) {
        writeLine(line)
        done++
      }
      pending = []
      return RETRY_FAILED_MS
    } catch (error) {
      pending = pending.slice(done)
      reason = reasonOf(error)
      if (BUSY.has(codeOf(error))) return RETRY_BUSY_MS
      dropPending()
      return RETRY_FAILED_MS
    }
  }

  const writeOrRetry = (): void => {
    const waitMs = writePending()
    if (retry !== undefined || (pending.length === 0 && unreported === 0)) return
    retry = setTimeout(() => {
      retry = undefined
      addReport()
      writeOrRetry()
    }, waitMs).unref()
  }

  return {
    write: (text) => {
      addReport()
      add(text)
      writeOrRetry()
    },
    dropped: () => dropped,
    flush: () => {
      const end = performance.now() + FLUSH_MS
      const timer = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
      addReport()
      for (writePending(); pending.length > 0 && performance.now() < end; writePending())
        Atomics.wait(timer, 0, 0, FLUSH_STEP_MS)
    },
  }
}

/**
 * Returns a function that writes to standard output without waiting. A terminal is opened again: someone may stop its output, and
 * the mode of the descriptor belongs to other processes, too. Node.js itself makes pipes and sockets non-blocking when it opens the
 * stream.
 */
export const openStandardOutput = (): LogOutputDeps['writeSome'] => {
  const descriptor = isatty(STANDARD_OUTPUT) ? openTerminal() : STANDARD_OUTPUT
  return (bytes) => writeSync(descriptor, bytes)
}

const openTerminal = (): number => {
  try {
    return openSync(`/proc/self/fd/${STANDARD_OUTPUT}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch {
    // A system without /proc, or a terminal of another user.
    return STANDARD_OUTPUT
  }
}

/** The warnings if lines of the log were dropped in the last day. */
export const droppedLineWarnings = ({ lines, last }: DroppedLines, now: Date): string[] =>
  last === undefined || now.getTime() - last.at.getTime() > MS_PER_DAY
    ? []
    : [
        `${lines} lines of the log were dropped since the start, the last at ${last.at.toISOString()}, because standard output ` +
          `could not be written: ${last.reason}`,
      ]

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { PGlite } from '@electric-sql/pglite'
import { LARGEST_ANSWER } from '../sql/answer-size.js'
import { copyDatabase, sizeOfFiles, type CopyDeps } from './dump.js'
import { createEmbeddedPool } from './pool.js'
import { messageOf } from '../../runtime/error-message.js'
import { freeBytes, hasSpaceIn, RESERVE_BYTES } from '../../runtime/free-space.js'
import { QueryCopyUnavailable, QueryTimedOut, type QueryCopy } from '../sql/query-copy.js'
import { startQueryProcess } from '../sql/query-process.js'
import { readOnlyOn, type ReadOnlyAnswer, type ReadOnlyLimits } from '../sql/read-only.js'

/** Milliseconds. To open a copy takes one to three seconds. */
const LONGEST_OPENING_MS = 60_000
/** Milliseconds between two checks of the free space. In that time some tens of megabytes can be written. */
const WATCH_EVERY_MS = 250

type QueryCopyDeps = Omit<CopyDeps, 'signal'> & {
  /** A directory for copies. Files that a killed process left there are removed. */
  scratch: string
  /** Bytes that other work is about to write to the same disk. */
  reservedBytes: () => number
}

/**
 * A statement of the embedded database blocks all others (docs/decisions/0011). So an operator's statement runs on a copy of the
 * database, in a separate process, while the service continues. Only one runs at a time, because each takes the memory and the disk
 * space of a copy.
 * @returns `close` ends a running statement, and removes its copy
 */
export const createQueryCopy = (deps: QueryCopyDeps): { queryCopy: QueryCopy; close: () => Promise<void> } => {
  rmSync(deps.scratch, { recursive: true, force: true })
  const closing = new AbortController()
  let running: Promise<unknown> | undefined
  return {
    queryCopy: async (statement, limits, signal) => {
      closing.signal.throwIfAborted()
      if (running) throw new QueryCopyUnavailable('another statement is running: try again when it has ended')
      const ends = AbortSignal.any([closing.signal, ...(signal ? [signal] : [])])
      const answering = answerOnCopy(deps, statement, limits, ends)
      running = answering.catch(() => undefined).finally(() => (running = undefined))
      return answering
    },
    close: async () => {
      closing.abort(new QueryCopyUnavailable('the service stops'))
      await running
    },
  }
}

const answerOnCopy = async (
  deps: QueryCopyDeps,
  statement: string,
  limits: ReadOnlyLimits,
  signal: AbortSignal,
): Promise<ReadOnlyAnswer> => {
  const { scratch } = deps
  try {
    const copy = await makeCopy(deps, signal).catch((error: unknown) => {
      throw unavailable(error)
    })
    return await answerFrom(copy, statement, limits, signal)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

const makeCopy = async (
  { data, duringBackup, scratch, reservedBytes }: QueryCopyDeps,
  signal: AbortSignal,
): Promise<string> => {
  mkdirSync(scratch, { recursive: true, mode: 0o700 })
  if (!hasSpaceIn(scratch)(sizeOfFiles(data) + reservedBytes()))
    throw new QueryCopyUnavailable(`there is no space in ${scratch} for a copy of the database, on which SQL runs`)
  const copy = mkdtempSync(join(scratch, 'copy-'))
  await copyDatabase({ data, duringBackup, signal }, copy)
  return copy
}

/** An error of the copy may be temporary, so it is reported as unavailable. */
const unavailable = (error: unknown): Error =>
  error instanceof QueryCopyUnavailable
    ? error
    : new QueryCopyUnavailable(`the database cannot be copied: ${messageOf(error)}`, { cause: error })

const answerFrom = async (
  directory: string,
  statement: string,
  limits: ReadOnlyLimits,
  signal: AbortSignal,
): Promise<ReadOnlyAnswer> => {
  signal.throwIfAborted()
  const copy = startQueryProcess(directory, limits.bytes ?? LARGEST_ANSWER)
  const abort = (): void => {
    copy.end(signal.reason as Error)
  }
  signal.addEventListener('abort', abort)
  const watch = setInterval(() => {
    if (freeBytes(directory) < RESERVE_BYTES) copy.end(new QueryCopyUnavailable(`the disk of ${directory} is full`))
  }, WATCH_EVERY_MS)
  let timer = setTimeout(() => {
    copy.end(notOpened())
  }, LONGEST_OPENING_MS)
  const answer = async (): Promise<ReadOnlyAnswer> => {
    await copy.waitReady
    clearTimeout(timer)
    timer = setTimeout(() => {
      copy.end(timedOut(limits))
    }, limits.seconds * 1000)
    const pool = createEmbeddedPool(copy as unknown as PGlite)
    return readOnlyOn(pool, 'keep', () => freeBytes(directory) - RESERVE_BYTES)(statement, limits)
  }
  try {
    return await Promise.race([answer(), copy.ended])
  } finally {
    clearInterval(watch)
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
    copy.end()
  }
}

const notOpened = (): Error => new QueryCopyUnavailable(`the copy was not opened in ${LONGEST_OPENING_MS / 1000} s`)

const timedOut = ({ seconds }: ReadOnlyLimits): Error =>
  new QueryTimedOut(`timed out: the statement was ended, as it took longer than ${seconds} s`)

import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { protocol, type PGlite } from '@electric-sql/pglite'
import { createPgConfig } from '@electric-sql/pglite/node-postgres'
import pg from 'pg'
import { surviveLostConnections } from './database.js'
import { copyDatabase, sizeOfFiles, type CopyDeps } from './embedded-dump.js'
import { END_WITH_PARENT } from './end-with-parent.js'
import { hasSpaceIn } from './free-space.js'
import { QueryCopyUnavailable, QueryTimedOut, type QueryCopy } from './query-copy.js'
import { readOnlyOn, type ReadOnlyAnswer, type ReadOnlyLimits } from './read-only.js'
import { within } from './within.js'

/** Milliseconds. To open a copy takes one to three seconds. */
const LONGEST_OPENING_MS = 60_000

/**
 * Is run by another Node.js with the file of PGlite and the directory of the copy: executes messages of PostgreSQL's protocol. As a
 * process, it can be ended whatever its statement does, and if memory is short, it ends and not the service.
 */
const EXECUTE = `
  const [, pglite, directory] = process.argv
  ${END_WITH_PARENT}
  try {
    require('node:fs').writeFileSync('/proc/self/oom_score_adj', '1000')
  } catch {
    // Another system than Linux.
  }
  const { PGlite } = require(pglite)
  const opening = PGlite.create(directory, { startParams: [...PGlite.defaultStartParams, '-c', 'shared_buffers=32MB'] })
  const fail = (error) => process.send({ error: error.message ?? String(error) })
  opening.then(() => process.send({ isOpen: true }), fail)
  process.on('message', (message) => {
    opening
      .then((instance) => instance.execProtocolRaw(message, { syncToFs: false }))
      .then((answer) => process.send({ answer }), fail)
  })
`

type Reply = { isOpen?: true; answer?: Uint8Array; error?: string }

/**
 * Nothing ends a statement of the embedded database (docs/decisions/0011), so a statement of an operator runs on a copy of it, in a
 * process of its own: the service goes on meanwhile. One statement runs at a time, since each takes the memory and the disk of a copy.
 * @param scratch a directory for copies; what a process left there that was ended is removed
 */
export const createQueryCopy = (deps: CopyDeps & { scratch: string }): QueryCopy => {
  const { data, scratch } = deps
  rmSync(scratch, { recursive: true, force: true })
  let isRunning = false
  return async (statement, limits) => {
    if (isRunning) throw new QueryCopyUnavailable('another statement is running: try again when it has ended')
    isRunning = true
    try {
      mkdirSync(scratch, { recursive: true, mode: 0o700 })
      if (!hasSpaceIn(scratch)(sizeOfFiles(data)))
        throw new QueryCopyUnavailable(`there is no space in ${scratch} for a copy of the database, on which SQL runs`)
      const copy = mkdtempSync(join(scratch, 'copy-'))
      await copyDatabase(deps, copy)
      return await answerFrom(copy, statement, limits)
    } finally {
      await rm(scratch, { recursive: true, force: true })
      isRunning = false
    }
  }
}

const answerFrom = async (directory: string, statement: string, limits: ReadOnlyLimits): Promise<ReadOnlyAnswer> => {
  const copy = openCopy(directory)
  try {
    await within(LONGEST_OPENING_MS, copy.waitReady)
    const pool = new pg.Pool(Object.assign({ max: 1 }, createPgConfig(copy as unknown as PGlite)))
    surviveLostConnections(pool)
    const answer = readOnlyOn(pool, 'keep')(statement, limits)
    return await within(limits.seconds * 1000, answer, () => timedOut(limits))
  } finally {
    copy.end()
  }
}

const timedOut = ({ seconds }: ReadOnlyLimits): Error =>
  new QueryTimedOut(`timed out: the statement was ended, as it took longer than ${seconds} s`)

/** What the driver of PostgreSQL uses of a PGlite. */
type OpenCopy = {
  waitReady: Promise<void>
  /** Executes a message of the protocol. @returns the messages of the answer */
  execProtocolStream: (message: Uint8Array) => Promise<{ name: string }[]>
  end: () => void
}

const openCopy = (directory: string): OpenCopy => {
  const pglite = createRequire(import.meta.url).resolve('@electric-sql/pglite')
  const child = spawn(process.execPath, ['--eval', EXECUTE, pglite, directory], {
    stdio: ['pipe', 'ignore', 'ignore', 'ipc'],
    serialization: 'advanced',
    // The environment of the service has secrets.
    env: {},
  })
  // One message is executed at a time, and answers come in the order of messages.
  const pending: { resolve: (reply: Reply) => void; reject: (error: Error) => void }[] = []
  const nextReply = async (): Promise<Reply> =>
    new Promise((resolve, reject) => {
      pending.push({ resolve, reject })
    })
  const fail = (error: Error): void => {
    for (const { reject } of pending.splice(0)) reject(error)
  }
  child.on('message', (reply: Reply) => {
    const next = pending.shift()
    if (reply.error === undefined) next?.resolve(reply)
    else next?.reject(new Error(reply.error))
  })
  child.on('error', fail)
  child.on('exit', () => {
    fail(new QueryCopyUnavailable('the process of the statement ended before it answered: memory may be short'))
  })
  return {
    waitReady: nextReply().then(() => undefined),
    execProtocolStream: async (message) => {
      const replying = nextReply()
      child.send(message)
      const { answer = new Uint8Array() } = await replying
      const messages: { name: string }[] = []
      new protocol.Parser().parse(Buffer.from(answer), (one) => {
        messages.push(one)
      })
      return messages
    },
    end: () => {
      child.kill('SIGKILL')
    },
  }
}

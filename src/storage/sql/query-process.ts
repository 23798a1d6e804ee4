import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { protocol } from '@electric-sql/pglite'
import { END_WITH_PARENT } from '../../runtime/end-with-parent.js'
import { QueryCopyUnavailable } from './query-copy.js'
import { answerTooLarge } from './read-only.js'

/**
 * The source of a process that executes messages of PostgreSQL's protocol. Its arguments are the file of PGlite, the directory of the
 * copy, and the bytes of the largest answer. A process can be ended whatever its statement does, and if memory is short, the system
 * ends it instead of the service. An answer that is too large is neither kept nor sent; only its bytes are counted.
 */
const EXECUTE = `
  const [, pglite, directory, most] = process.argv
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
    let chunks = []
    let bytes = 0
    const onRawData = (chunk) => {
      bytes += chunk.length
      if (bytes > most) chunks = []
      else chunks.push(Buffer.from(chunk))
    }
    opening
      .then((instance) => instance.execProtocolRawStream(message, { syncToFs: false, onRawData }))
      .then(() => process.send(bytes > most ? { isTooLarge: true } : { answer: Buffer.concat(chunks) }), fail)
  })
`

type Reply = { isOpen?: true; answer?: Uint8Array; isTooLarge?: true; error?: string }

/** A process with an open copy of the database. It has the methods of PGlite that PostgreSQL's driver uses. */
export type QueryProcess = {
  waitReady: Promise<void>
  /**
   * Executes a message of the protocol. Never settles if the process has ended, because the driver may have no listener for the error.
   * @returns the messages of the answer
   */
  execProtocolStream: (message: Uint8Array) => Promise<{ name: string }[]>
  /** Ends the process. */
  end: (reason?: Error) => void
  /** Rejects when the process has ended, with the first reason. */
  ended: Promise<never>
}

/**
 * @param directory of the copy
 * @param largestAnswer bytes of one answer; a larger one ends the process
 */
export const startQueryProcess = (directory: string, largestAnswer: number): QueryProcess => {
  const pglite = createRequire(import.meta.url).resolve('@electric-sql/pglite')
  const child = spawn(process.execPath, ['--eval', EXECUTE, pglite, directory, String(largestAnswer)], {
    stdio: ['pipe', 'ignore', 'ignore', 'ipc'],
    serialization: 'advanced',
    // The environment of the service contains secrets.
    env: {},
  })
  // The process executes one message at a time, so answers arrive in the order of messages.
  const pending: ((reply: Reply) => void)[] = []
  const nextReply = async (): Promise<Reply> => new Promise((resolve) => pending.push(resolve))
  let reject: (reason: Error) => void = () => undefined
  const ended = new Promise<never>((_, rejectEnded) => (reject = rejectEnded))
  ended.catch(() => undefined)
  const end = (reason: Error = new QueryCopyUnavailable('the process of the statement was ended')): void => {
    reject(reason)
    child.kill('SIGKILL')
  }
  child.on('message', (reply: Reply) => {
    if (reply.isTooLarge) end(answerTooLarge(largestAnswer))
    else if (reply.error !== undefined) end(new QueryCopyUnavailable(`the copy failed: ${reply.error}`))
    else pending.shift()?.(reply)
  })
  child.on('error', end)
  child.on('exit', () => {
    end(new QueryCopyUnavailable('the process of the statement ended before it answered: memory may be short'))
  })
  return {
    waitReady: nextReply().then(() => undefined),
    execProtocolStream: async (message) => {
      const replying = nextReply()
      if (child.connected) child.send(message)
      const { answer = new Uint8Array() } = await replying
      const messages: { name: string }[] = []
      new protocol.Parser().parse(Buffer.from(answer), (one) => {
        messages.push(one)
      })
      return messages
    },
    end,
    ended,
  }
}

import { Worker } from 'node:worker_threads'
import { UserFileError, type UserIds } from './read-user-file.js'

export type ThreadData = { file: string }
/** Names and their ids, at the same positions; empty at the end of the file. */
export type ThreadReply = { names: string[]; ids: string[] } | { problem: string }

/** MiB of the thread's heap. A file of 600,000 names needs some 700 as YAML, and 300 as CSV. */
const LARGEST_HEAP_MB = 2_048

/**
 * Reads a file of names in a separate thread, so that the event loop is not blocked. The names arrive in portions: each portion is
 * requested after the previous one was stored, and the event loop turns in between.
 * @param thread path of the built `user-file-thread.ts`
 * @param signal ends the thread; the promise is then rejected
 * @throws UserFileError
 */
export const readInThread = async (thread: string, file: string, signal: AbortSignal): Promise<UserIds> => {
  const worker = new Worker(thread, {
    workerData: { file } satisfies ThreadData,
    // Options of this process do not fit that source, and its environment contains secrets.
    execArgv: [],
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: LARGEST_HEAP_MB },
  })
  const abort = new AbortController()
  try {
    return await new Promise((resolve, reject) => {
      const ids = new Map<string, string>()
      const next = (): void => {
        worker.postMessage('next')
      }
      signal.addEventListener(
        'abort',
        () => {
          reject(new Error(`${file}: the reading was ended`))
        },
        {
          signal: abort.signal,
        },
      )
      worker.once('error', (error) => {
        reject(isOutOfMemory(error) ? tooLarge(file) : error)
      })
      worker.once('exit', () => {
        reject(new Error(`${file}: the thread that read it ended`))
      })
      worker.on('message', (reply: ThreadReply) => {
        if ('problem' in reply) reject(new UserFileError(reply.problem))
        else if (reply.names.length === 0) resolve(ids)
        else {
          reply.names.forEach((name, i) => ids.set(name, reply.ids[i] ?? ''))
          // Not at once: the port delivers a quick reply in the same turn of the event loop.
          setImmediate(next)
        }
      })
      next()
    })
  } finally {
    abort.abort()
    await worker.terminate()
  }
}

const isOutOfMemory = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY'

const tooLarge = (file: string): UserFileError =>
  new UserFileError(
    `${file}: reading the file needs more than ${LARGEST_HEAP_MB} MiB of memory, or than --max-old-space-size allows; list fewer names, or use CSV, which takes half as much`,
  )

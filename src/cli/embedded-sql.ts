import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { isRefusal } from '../storage/sql/database.js'
import { lockDirectory } from '../storage/directory-lock.js'
import type { ReadOnlyAnswer, ReadOnlyLimits } from '../storage/sql/read-only.js'
import { refusalOf } from '../storage/sql/statement-check.js'
import { context } from './command-context.js'
import { CommandError, explain } from './terminal/failure.js'
import { configNow, withInstallation } from './stores/open.js'

type SqlRequest = { statement: string; limits: ReadOnlyLimits }
type ThreadMessage = 'open' | { answer: ReadOnlyAnswer } | { failure: string }

/**
 * Runs a statement with a time limit on the embedded database, which has no limit itself (docs/decisions/0011). The database is
 * opened in a thread, which is ended after the time limit. The time to open the database does not count.
 */
export const answerInTime = async (statement: string, limits: ReadOnlyLimits): Promise<ReadOnlyAnswer> => {
  const thread = new Worker(new URL(import.meta.url), {
    env: context().env,
    workerData: { statement, limits } satisfies SqlRequest,
  })
  let timer: NodeJS.Timeout | undefined
  try {
    return await new Promise((resolve, reject) => {
      thread.once('error', reject)
      thread.once('exit', () => {
        reject(new Error('the thread of the embedded database ended without an answer'))
      })
      thread.on('message', (message: ThreadMessage) => {
        if (message === 'open') timer = setTimeout(() => void end(thread, limits).catch(reject), limits.seconds * 1000)
        else if ('answer' in message) resolve(message.answer)
        else reject(new CommandError(message.failure))
      })
    })
  } finally {
    clearTimeout(timer)
  }
}

const end = async (thread: Worker, { seconds }: ReadOnlyLimits): Promise<never> => {
  thread.removeAllListeners('exit')
  await thread.terminate()
  // The lock belongs to the ended thread: taking it over and releasing it removes it.
  const lock = await lockDirectory(configNow().data_dir)
  lock.release()
  throw new CommandError(`the statement was ended: it took longer than ${seconds} s; --timeout allows more`)
}

const answerHere = async ({ statement, limits }: SqlRequest): Promise<void> => {
  const post = (message: ThreadMessage): void => parentPort?.postMessage(message)
  try {
    const answer = await withInstallation(configNow(), async ({ stores }) => {
      post('open')
      return stores.database.readOnly(statement, limits)
    })
    post({ answer })
  } catch (error) {
    const refused = isRefusal(error) ? refusalOf(statement, error) : undefined
    post({ failure: refused ?? explain(error).replace(/^tallyman: /, '') })
  }
}

if (!isMainThread) await answerHere(workerData as SqlRequest)

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { isRefusal } from '../storage/sql/database.js'
import { lockDirectory } from '../storage/directory-lock.js'
import type { ReadOnlyAnswer, ReadOnlyLimits } from '../storage/sql/read-only.js'
import { refusalOf } from '../storage/sql/statement-check.js'
import { context } from './command-context.js'
import { CommandError, explain } from './terminal/failure.js'
import { configNow, withInstallation } from './terminal/open.js'

type Asked = { statement: string; limits: ReadOnlyLimits }
type Told = 'open' | { answer: ReadOnlyAnswer } | { failure: string }

/**
 * Runs a statement on the embedded database, which ends none by itself (docs/decisions/0011): it is opened in a thread, and the
 * thread is ended when the time is up. The time to open it does not count.
 */
export const answerInTime = async (statement: string, limits: ReadOnlyLimits): Promise<ReadOnlyAnswer> => {
  const thread = new Worker(new URL(import.meta.url), {
    env: context().env,
    workerData: { statement, limits } satisfies Asked,
  })
  let timer: NodeJS.Timeout | undefined
  try {
    return await new Promise((resolve, reject) => {
      thread.once('error', reject)
      thread.once('exit', () => {
        reject(new Error('the thread of the embedded database ended without an answer'))
      })
      thread.on('message', (told: Told) => {
        if (told === 'open') timer = setTimeout(() => void end(thread, limits).catch(reject), limits.seconds * 1000)
        else if ('answer' in told) resolve(told.answer)
        else reject(new CommandError(told.failure))
      })
    })
  } finally {
    clearTimeout(timer)
  }
}

const end = async (thread: Worker, { seconds }: ReadOnlyLimits): Promise<never> => {
  thread.removeAllListeners('exit')
  await thread.terminate()
  // The lock is that of a thread which is no more: to take it over is the way to take it away.
  const lock = await lockDirectory(configNow().data_dir)
  lock.release()
  throw new CommandError(`the statement was ended: it took longer than ${seconds} s; --timeout allows more`)
}

const answerHere = async ({ statement, limits }: Asked): Promise<void> => {
  const tell = (told: Told): void => parentPort?.postMessage(told)
  try {
    const answer = await withInstallation(configNow(), async ({ stores }) => {
      tell('open')
      return stores.database.readOnly(statement, limits)
    })
    tell({ answer })
  } catch (error) {
    const refused = isRefusal(error) ? refusalOf(statement, error) : undefined
    tell({ failure: refused ?? explain(error).replace(/^tallyman: /, '') })
  }
}

if (!isMainThread) await answerHere(workerData as Asked)

import { parentPort, workerData } from 'node:worker_threads'
import type { ThreadData, ThreadReply } from './read-in-thread.js'
import { readUserFile, UserFileError } from './read-user-file.js'

/** Names in one reply. Storing them takes the event loop of the service some milliseconds. */
const PORTION = 5_000

const answer = (reply: ThreadReply): void => parentPort?.postMessage(reply)

/** Answers each message with the next names of the file, and with an empty reply at the end. */
const serveFile = (file: string): void => {
  const ids = readUserFile(file)
  const [names, idsOfNames] = [[...ids.keys()], [...ids.values()]]
  let sent = 0
  parentPort?.on('message', () => {
    const [start, end] = [sent, (sent += PORTION)]
    answer({ names: names.slice(start, end), ids: idsOfNames.slice(start, end) })
  })
}

try {
  serveFile((workerData as ThreadData).file)
} catch (error) {
  if (!(error instanceof UserFileError)) throw error
  answer({ problem: error.message })
}
